export type { EngineKind } from "./options.js";
export type { EngineAddresses } from "./scope.js";
export { type Engines, startEngines } from "./start.js";
export { createTopics } from "./topics.js";
