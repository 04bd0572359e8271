export { type ContainerHosts, startContainerHosts } from "./hosts.js";
