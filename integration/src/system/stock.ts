// The preload of a stock role, `node --import <this file> <role>`: its libraries are patched as they are imported,
// so all of this comes before them. Where INSTRUMENTATION says otherwise it does nothing.
import { register } from "node:module";
import { IS_STOCK } from "./adapters.js";

if (IS_STOCK) {
  register("@opentelemetry/instrumentation/hook.mjs", import.meta.url);
  await import("./tracing.js");
}
