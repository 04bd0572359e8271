import { availableParallelism, totalmem } from "node:os";
import { type Result, WARM_UP } from "./measure.js";

interface Settings {
  readonly requests: number;
  readonly concurrency: number;
  readonly engines: string;
}

/** Renders RESULTS.md. */
export function report(
  results: readonly Result[],
  { requests, concurrency, engines }: Settings,
): string {
  const memory = Math.round(totalmem() / 1024 ** 3);
  return [
    "# Results",
    "",
    `Written by \`npm run results -- --requests ${requests} --concurrency ${concurrency}\`, the last time on ${today()}, on a machine with`,
    `${availableParallelism()} cores and ${memory} GiB, Node ${process.version.slice(1)}, engines ${engines}; all roles, Kafka, Redis, the sender and the receiver share it.`,
    "",
    "A trace is whole when it has one root, no orphan, every service, and every service continues the exit span of the one before. A false parent is a span",
    "of the application that a trace has too many or too few: it hangs in the trace of another request. Roles that are not named are TypeScript with Traceferry.",
    `Each system is warmed up with ${WARM_UP} requests that are not counted.`,
    "",
    "| system | requests | answered | traces | of them whole | orphans | false parents | spans | requests a second | span end to received, p50 | p99 | memory of all roles |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...results.map((result) => row(result, requests)),
    "",
  ].join("\n");
}

function row(result: Result, requests: number): string {
  const { name, implementations, answered, traces, whole, orphans, falseParents, spans } = result;
  const roles = Object.entries(implementations).map(
    ([role, is]) => `${role.replace("jeeves-", "")} ${is}`,
  );
  const cells = [
    `${name}: ${roles.join(", ")}`,
    requests,
    answered,
    traces,
    whole,
    orphans,
    falseParents,
    spans,
    result.requestsPerSecond,
    `${result.spanToReceivedMs.p50} ms`,
    `${result.spanToReceivedMs.p99} ms`,
    `${result.rssMb} MB`,
  ];
  return `| ${cells.join(" | ")} |`;
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}
