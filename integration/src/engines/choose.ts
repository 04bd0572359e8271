import type { EngineKind } from "./options.js";

/** The result for one kind of engines: available, with the reason and the function that starts them, or what is missing. */
export type Availability<Start> =
  | { readonly available: true; readonly reason: string; readonly start: Start }
  | { readonly available: false; readonly missing: readonly string[] };

/** Finds out if engines of one kind can run here. Called only when the kinds before it cannot. */
export type Detect<Start> = () => Promise<Availability<Start>>;

/** The kind of engines that is used, the reason for people, and the function that starts them. */
export interface Choice<Start> {
  readonly kind: EngineKind;
  readonly reason: string;
  readonly start: Start;
}

const KINDS: readonly EngineKind[] = ["external", "docker", "local"];

const NEEDS: Record<EngineKind, string> = {
  external: "addresses of running engines in KAFKA_BROKERS and REDIS_URL",
  docker: "a Docker engine, and the images here or a registry to pull them from",
  local: "Java 17 or newer, Maven, and redis-server or valkey-server 6.2 or newer",
};

/**
 * The kind that is requested: by the option, else by TRACEFERRY_ENGINES. "auto" requests none.
 *
 * @throws TypeError when the variable names no kind
 */
export function requestedKind(
  option: EngineKind | "auto" | undefined,
  env: Readonly<Record<string, string | undefined>>,
): { kind: EngineKind | "auto"; by: string } {
  if (option !== undefined && option !== "auto") {
    return { kind: option, by: `kind "${option}" was asked for` };
  }
  const value = env.TRACEFERRY_ENGINES;
  if (value === undefined || value === "") return { kind: "auto", by: "nothing was asked for" };
  const kind = [...KINDS, "auto" as const].find((known) => known === value);
  if (kind === undefined) {
    throw new TypeError(
      `TRACEFERRY_ENGINES is ${JSON.stringify(value)}; it may be ${KINDS.join(", ")} or auto`,
    );
  }
  return { kind, by: `TRACEFERRY_ENGINES is ${kind}` };
}

/**
 * Chooses the requested kind, or else the first that is available.
 *
 * @throws when there is none; the error says what each kind needs and what is missing
 */
export async function choose<Start>(
  requested: { kind: EngineKind | "auto"; by: string },
  detectors: Record<EngineKind, Detect<Start>>,
): Promise<Choice<Start>> {
  const missing: string[] = [];
  const kinds = requested.kind === "auto" ? KINDS : [requested.kind];
  const notes: string[] = [];
  for (const kind of kinds) {
    const availability = await detectors[kind]();
    if (availability.available) {
      const why =
        requested.kind === "auto" ? availability.reason : `${requested.by}; ${availability.reason}`;
      return { kind, reason: [why, ...notes].join("; "), start: availability.start };
    }
    notes.push(`not ${kind}: ${availability.missing.map(firstClause).join(", ")}`);
    missing.push(describeMissing(kind, availability.missing));
  }
  throw new Error(
    requested.kind === "auto"
      ? `there are no engines for the test to run on. One of these three ways is needed:\n${missing.join("\n")}`
      : `${requested.by}, but that cannot work here:\n${missing.join("\n")}`,
  );
}

function describeMissing(kind: EngineKind, missing: readonly string[]): string {
  return [`  ${kind}: needs ${NEEDS[kind]}`, ...missing.map((line) => `    - ${line}`)].join("\n");
}

/** The fact alone, of a line written "the fact: what to do about it". */
function firstClause(line: string): string {
  return line.split(": ")[0] ?? line;
}
