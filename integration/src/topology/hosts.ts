import { join } from "node:path";
import type { EngineAddresses } from "../engines/index.js";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import type { Scope } from "../engines/scope.js";
import { buildPeers, checkToolchains } from "../peers/index.js";
import type { Command, Language } from "../peers/peer.js";
import { RoleProcess } from "./process.js";
import { type Implementation, type Implementations, ROLES, type Role } from "./roles.js";
import type { RunningRole } from "./running-role.js";

/** Starts roles: as processes of this machine, or in containers. */
export interface Hosts {
  /** The addresses of Kafka and Redis for the roles. Default: those for this process. */
  readonly engines?: EngineAddresses;
  /** Builds the programs or images that the roles need. Returns the function that starts a role. */
  prepare(implementations: Implementations, scope: Scope): Promise<StartRole>;
}

/** Starts one role. @param env - its settings, with addresses as other roles see them */
type StartRole = (
  role: Role,
  implementation: Implementation,
  env: Readonly<Record<string, string>>,
) => RunningRole;

/** Starts each role as a process of this machine. */
export const processes: Hosts = {
  prepare: async (implementations, scope) => {
    const built = await buildPeers(languagesOf(implementations), scope);
    return (role, implementation, env) => {
      const { foreign } = role;
      const command =
        foreign !== undefined && implementation === foreign.language
          ? built(foreign.language, foreign.program)
          : nodeCommand(role, implementation);
      return new RoleProcess(role.name, command, env);
    };
  },
};

/** Checks, before anything is started, that these implementations can be built here. @throws what is missing */
export function checkProcesses(implementations: Implementations): Promise<void> {
  return checkToolchains(languagesOf(implementations));
}

function languagesOf(implementations: Implementations): Language[] {
  return ROLES.flatMap(({ name, foreign }) =>
    foreign !== undefined && implementations[name] === foreign.language ? [foreign.language] : [],
  );
}

const DIST = join(REPOSITORY_ROOT, "integration/dist");

/** The command that starts a TypeScript role. @param dist - the folder of the built suite @param node - the executable */
export function nodeCommand(
  { entry }: Role,
  implementation: Implementation,
  dist = DIST,
  node = process.execPath,
): Command {
  return {
    file: node,
    arguments: [
      // kafkajs 2.2.4 sets timeouts in the past, which Node 24 warns about each time.
      "--disable-warning=TimeoutNegativeWarning",
      ...(implementation === "stock" ? ["--import", join(dist, "system/stock.js")] : []),
      join(dist, "roles", entry),
    ],
    env: variantEnv(implementation),
  };
}

function variantEnv(implementation: Implementation): Record<string, string> {
  // By OpenTelemetry's specification the variable has no effect on propagators: the context is still passed on.
  if (implementation === "bare") return { OTEL_SDK_DISABLED: "true" };
  if (implementation === "stock") return { INSTRUMENTATION: "stock" };
  return {};
}
