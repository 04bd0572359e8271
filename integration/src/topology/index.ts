export { SERVICES } from "./roles.js";
export { startTopology, type Topology, type TopologyOptions } from "./start.js";
