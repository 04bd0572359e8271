import type { EngineKind } from "./options.js";

/** What was found out about one way to have engines. `start` is what the choice is for. */
export type Finding<Start> =
  | { readonly works: true; readonly because: string; readonly start: Start }
  | { readonly works: false; readonly missing: readonly string[] };

/** Finds out whether a kind can work. Called only when the kinds before it cannot. */
export type Look<Start> = () => Promise<Finding<Start>>;

export interface Choice<Start> {
  readonly kind: EngineKind;
  readonly reason: string;
  readonly start: Start;
}

const order: readonly EngineKind[] = ["external", "docker", "local"];

const needs: Record<EngineKind, string> = {
  external: "addresses of running engines in KAFKA_BROKERS and REDIS_URL",
  docker: "a Docker engine, and the images here or a registry to pull them from",
  local: "Java 17 or newer, Maven, and redis-server or valkey-server 6.2 or newer",
};

/** Which kind is asked for: by the option, else by TRACEFERRY_ENGINES; "auto" is no wish. Throws when the variable is no kind. */
export function askedKind(
  option: EngineKind | "auto" | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): { kind: EngineKind | "auto"; by: string } {
  if (option !== undefined && option !== "auto") {
    return { kind: option, by: `kind "${option}" was asked for` };
  }
  const value = environment.TRACEFERRY_ENGINES;
  if (value === undefined || value === "") return { kind: "auto", by: "nothing was asked for" };
  const kind = [...order, "auto" as const].find((known) => known === value);
  if (kind === undefined) {
    throw new TypeError(
      `TRACEFERRY_ENGINES is ${JSON.stringify(value)}; it may be ${order.join(", ")} or auto`,
    );
  }
  return { kind, by: `TRACEFERRY_ENGINES is ${kind}` };
}

/** The first kind that works, or the one that is asked for. The error says what each kind needs and what was missing. */
export async function choose<Start>(
  asked: { kind: EngineKind | "auto"; by: string },
  look: Record<EngineKind, Look<Start>>,
): Promise<Choice<Start>> {
  const missing: string[] = [];
  const kinds = asked.kind === "auto" ? order : [asked.kind];
  const notes: string[] = [];
  for (const kind of kinds) {
    const finding = await look[kind]();
    if (finding.works) {
      const why = asked.kind === "auto" ? finding.because : `${asked.by}; ${finding.because}`;
      return { kind, reason: [why, ...notes].join("; "), start: finding.start };
    }
    notes.push(`not ${kind}: ${finding.missing.map(firstClause).join(", ")}`);
    missing.push(describe(kind, finding.missing));
  }
  throw new Error(
    asked.kind === "auto"
      ? `there are no engines for the test to run on. One of these three ways is needed:\n${missing.join("\n")}`
      : `${asked.by}, but that cannot work here:\n${missing.join("\n")}`,
  );
}

function describe(kind: EngineKind, missing: readonly string[]): string {
  return [`  ${kind}: needs ${needs[kind]}`, ...missing.map((line) => `    - ${line}`)].join("\n");
}

/** What is missing is written "the fact: what to do about it"; a reason only tells the fact. */
function firstClause(line: string): string {
  return line.split(": ")[0] ?? line;
}
