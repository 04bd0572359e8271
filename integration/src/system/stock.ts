// The preload of a stock role, `node --import <this file> <role>`. It must run before the role imports its libraries,
// because they are patched when they are imported. It does nothing unless INSTRUMENTATION is stock.
import { register } from "node:module";
import { IS_STOCK } from "./adapters.js";

if (IS_STOCK) {
  register("@opentelemetry/instrumentation/hook.mjs", import.meta.url);
  await import("./tracing.js");
}
