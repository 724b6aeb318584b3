/** Lines that begin with this, in the console of an extension host, are the tests' own. */
export const TEST_OUTPUT = "[setfill tests] ";
/** Said at the end of all tests. A window that goes away before says nothing of failures, and must not pass for success. */
export const TESTS_ENDED = "all tests were run";
/** The environment variable with a regular expression for the titles of the host's tests to run; unset, all are run. */
export const ONLY = "SETFILL_HOST_TESTS";
