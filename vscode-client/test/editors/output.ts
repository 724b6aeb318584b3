/** Lines that begin with this, in the console of an extension host, are the tests' own. */
export const TEST_OUTPUT = "[setfill tests] ";
