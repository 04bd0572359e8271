export { expected, SERVICES } from "./paths.js";
export { startTopology, type Topology, type TopologyOptions } from "./start.js";
