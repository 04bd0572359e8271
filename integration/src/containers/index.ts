export { type ContainerHosts, type ContainerHostsOptions, startContainerHosts } from "./hosts.js";
