/** The version of this package, as its instrumentation scope tells it. */
export const VERSION = "0.1.0";
