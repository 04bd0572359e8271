export { expectedTrace, SERVICES } from "./expected-trace.js";
export { startTopology, type Topology, type TopologyOptions } from "./start.js";
