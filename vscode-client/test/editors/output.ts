/** Lines that begin with this, in the console of an extension host, are the tests' own. */
export const TEST_OUTPUT = "[setfill tests] ";
/** Said at the end of all tests. A window that goes away before says nothing of failures, and must not pass for success. */
export const TESTS_ENDED = "all tests were run";
/** The environment variable with a part of the titles of the tests to run in the extension host; unset, all are run. */
export const ONLY = "SETFILL_HOST_TESTS";
