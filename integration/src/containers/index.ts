export {
  type ContainerCollector,
  type ContainerHosts,
  type ContainerHostsOptions,
  startContainerHosts,
} from "./hosts.js";
