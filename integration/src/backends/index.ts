export { startCollector } from "./collector.js";
export { type Jaeger, startJaeger } from "./jaeger.js";
export type { JaegerTrace } from "./jaeger-api.js";
export type { Backend } from "./program.js";
