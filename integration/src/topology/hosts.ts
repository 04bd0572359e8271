import { join } from "node:path";
import type { EngineAddresses } from "../engines/index.js";
import { REPOSITORY_ROOT } from "../engines/paths.js";
import type { Scope } from "../engines/scope.js";
import { buildPeers, checkToolchains } from "../peers/index.js";
import type { Command, Language } from "../peers/peer.js";
import { RoleProcess } from "./process.js";
import { type Implementation, type Implementations, ROLES, type Role } from "./roles.js";
import type { RunningRole } from "./running-role.js";

/** What starts roles: processes of this machine, or containers. */
export interface Hosts {
  /** Where the roles find Kafka and Redis. Default: where this process does. */
  readonly engines?: EngineAddresses;
  /** Makes what the roles need to start: builds programs or images. */
  prepare(implementations: Implementations, scope: Scope): Promise<StartRole>;
}

/** Starts one role. @param env - its settings; addresses in it are those of inside */
type StartRole = (
  role: Role,
  implementation: Implementation,
  env: Readonly<Record<string, string>>,
) => RunningRole;

/** Each role as a process of this machine. */
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

/** Finds out, before anything is started, whether such processes can be built here. @throws what is missing */
export function checkProcesses(implementations: Implementations): Promise<void> {
  return checkToolchains(languagesOf(implementations));
}

function languagesOf(implementations: Implementations): Language[] {
  return ROLES.flatMap(({ name, foreign }) =>
    foreign !== undefined && implementations[name] === foreign.language ? [foreign.language] : [],
  );
}

const DIST = join(REPOSITORY_ROOT, "integration/dist");

/** How a role of ours is started, for a repository that lies at `dist`'s parent. */
export function nodeCommand(
  { entry }: Role,
  implementation: Implementation,
  dist = DIST,
  node = process.execPath,
): Command {
  return {
    file: node,
    arguments: [
      // kafkajs 2.2.4 sets timeouts in the past, and Node 24 says so each time.
      "--disable-warning=TimeoutNegativeWarning",
      ...(implementation === "stock" ? ["--import", join(dist, "system/stock.js")] : []),
      join(dist, "roles", entry),
    ],
    env: variantEnv(implementation),
  };
}

function variantEnv(implementation: Implementation): Record<string, string> {
  // The variable has no effect on propagators (OpenTelemetry's specification of it): what came in is passed on.
  if (implementation === "bare") return { OTEL_SDK_DISABLED: "true" };
  if (implementation === "stock") return { INSTRUMENTATION: "stock" };
  return {};
}
