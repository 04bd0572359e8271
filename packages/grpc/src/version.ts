/** The version of the package, as instrumentation scope version. A test holds it to package.json. */
export const VERSION = "0.1.0";
