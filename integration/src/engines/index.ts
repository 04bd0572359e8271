export type { EngineKind, Engines, StartOptions } from "./engines.js";
export { startEngines } from "./start.js";
export { createTopics } from "./topics.js";
