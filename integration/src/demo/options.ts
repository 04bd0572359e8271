import { Command, InvalidArgumentError, Option } from "commander";
import type { EngineKind } from "../engines/index.js";
import { SERVICES } from "../topology/index.js";
import {
  type Implementation,
  type Implementations,
  implementationsOf,
  POLYGLOT,
  ROLES,
} from "../topology/roles.js";

/** The options of the demo's command line. */
export interface DemoOptions {
  /** How many requests are sent. */
  readonly requests: number;
  /** How many of them are sent at a time. */
  readonly concurrency: number;
  /** Asks for the answer as server-sent events. */
  readonly stream: boolean;
  /** Runs planner and executor side by side. */
  readonly parallel: boolean;
  /** The kind of engines. Default: the first that is available. */
  readonly engines?: EngineKind;
  /** The hosts of the roles. Containers have Kafka and Redis beside them. */
  readonly hosts: "processes" | "containers";
  /** The implementation of each role. */
  readonly implementations: Implementations;
  /** The service that runs without a propagator, to show how a broken hop is reported. */
  readonly break?: string;
  /** A trace backend for people, beside the demo's own receiver. */
  readonly backend?: "jaeger";
  /** Leaves everything running until it is interrupted. */
  readonly keep: boolean;
  /** Prints the summary as one JSON object, too. */
  readonly json: boolean;
}

const HELP = `
Engines: Kafka and Redis come from addresses in KAFKA_BROKERS and REDIS_URL (external), from containers
(docker), or from processes of this machine (local: needs Java 17 or newer and Maven). Without --engines the
first that can work is taken.

Roles: ts is TypeScript with Traceferry; stock the same, instrumented by instrumentation-http, -grpc, -kafkajs and
bullmq-otel; bare the same, passing the context on without a span; go, python and java are other languages, with
nothing but their own OpenTelemetry. What has to be built for one is built first and kept.

Hosts: with containers each role runs in one of its own, on a network with Kafka and Redis. The images are built where
their sources changed.

Backend: Jaeger and the OpenTelemetry Collector are built from their Go modules, once, which takes minutes; JAEGER_URL
and JAEGER_OTLP_URL name a Jaeger that runs already.

Exit code: 0 when every request was answered and every trace is unbroken, 1 when not or when something could
not be started, 130 when interrupted before the verdict.

Examples:
  npm run demo
  npm run demo -- --requests 200 --concurrency 20
  npm run demo -- --polyglot
  npm run demo -- --orchestrator go --tools java --gateway stock
  npm run demo -- --stream --parallel --engines local
  npm run demo -- --break jeeves-agents
  npm run demo -- --polyglot --hosts containers
  npm run demo -- --backend jaeger --keep`;

/** Reads the command line. Ends the process after `--help`, or with an error message about a wrong option. */
export function readOptions(argv: readonly string[]): DemoOptions {
  const command = new Command()
    .name("npm run demo --")
    .description(
      "Sends chat requests through gateway, orchestrator, agents and LLM gateway, over HTTP, gRPC, Kafka and\n" +
        "BullMQ, and shows that each is one unbroken trace.",
    )
    .option("--requests <n>", "how many requests to send", count, 1)
    .option("--concurrency <n>", "how many of them at a time", count, 1)
    .option("--stream", "ask for the answer as server-sent events", false)
    .option("--parallel", "run planner and executor side by side", false)
    .addOption(
      new Option("--engines <kind>", "where Kafka and Redis come from").choices([
        "docker",
        "local",
        "external",
      ]),
    )
    .addOption(
      new Option(
        "--hosts <kind>",
        "where the roles run; containers have Kafka and Redis beside them",
      )
        .choices(["processes", "containers"])
        .default("processes"),
    )
    .option("--polyglot", "every role that has a version in another language is that one", false)
    .addOption(
      new Option(
        "--break <service>",
        "run one service without a propagator, to see how a broken hop is told",
      ).choices(SERVICES),
    )
    .addOption(
      new Option(
        "--backend <name>",
        "send the spans through a collector to this backend too, and print where to see the trace",
      ).choices(["jaeger"]),
    )
    .option("--keep", "leave all running and print the addresses to try by hand", false)
    .option("--json", "print one JSON object as the last line of stdout", false)
    .helpOption("--help", "show this")
    .addHelpText("after", HELP)
    .allowExcessArguments(false);
  for (const role of ROLES) {
    if (role.option === undefined) continue;
    command.addOption(
      new Option(`--${role.option} <made of>`, `what ${role.name} is`)
        .choices(implementationsOf(role))
        .default(undefined, "ts"),
    );
  }
  const { polyglot, ...chosen } = command.parse(argv, { from: "user" }).opts<Parsed>();
  if (chosen.hosts === "containers" && chosen.backend !== undefined) {
    command.error("error: --backend needs --hosts processes: it listens on this machine only");
  }
  if (chosen.hosts === "containers" && (chosen.engines ?? "docker") !== "docker") {
    command.error("error: --hosts containers brings engines of its own: leave --engines out");
  }
  return {
    ...chosen,
    implementations: { ...(polyglot && POLYGLOT), ...implementationsIn(chosen) },
  };
}

type Parsed = Omit<DemoOptions, "implementations"> & { readonly polyglot: boolean };

function implementationsIn(chosen: object): Implementations {
  const implementations: Record<string, Implementation> = {};
  for (const role of ROLES) {
    // Commander calls the option --llm-gateway llmGateway.
    const name = role.option?.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const value: unknown = name === undefined ? undefined : Reflect.get(chosen, name);
    const implementation = implementationsOf(role).find((each) => each === value);
    if (implementation !== undefined) implementations[role.name] = implementation;
  }
  return implementations;
}

/** Parses a number of requests. @throws InvalidArgumentError unless it is a whole number from 1 to 1000000 */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 1_000_000) {
    throw new InvalidArgumentError("It must be a whole number from 1 to 1000000.");
  }
  return value;
}
