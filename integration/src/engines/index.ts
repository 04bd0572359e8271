export type { EngineKind, Engines } from "./engines.js";
export { startEngines } from "./start.js";
export { createTopics } from "./topics.js";
