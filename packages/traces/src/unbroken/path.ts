import { addressOf } from "../diagnose/address.js";
import type { Finding } from "../diagnose/finding.js";
import { isExit, type Span } from "../span.js";
import type { TraceUnderTest } from "./trace-under-test.js";

/** Explains why the trace does not follow the path; undefined when it does. */
export function pathProblem(
  path: readonly string[],
  tested: TraceUnderTest,
  findings: readonly Finding[],
  allServices: ReadonlySet<string>,
): string | undefined {
  const [first] = path;
  if (first === undefined) return undefined;
  const search = new PathSearch(path, tested);
  const starts = tested.entries().filter((span) => span.service === first);
  if (starts.some((span) => search.reachesEnd(span, 0))) return undefined;
  const label = `path ${formatPath(path)}`;
  if (starts.length === 0) return `${label}: ${absence(first, tested, allServices)}`;
  const from = path[search.furthest] ?? first;
  const to = path[search.furthest + 1] ?? "";
  return `${label} ends at ${from}: ${missingHop(from, to, search, tested, findings, allServices)}`;
}

/** Formats a path for messages: "gateway → orders". */
export function formatPath(path: readonly string[]): string {
  return path.join(" → ");
}

interface ParentAndChild {
  readonly parent: Span;
  readonly child: Span;
}

/** Searches the tree for a path, depth first, and remembers how far it got. */
class PathSearch {
  /** The index of the last service on the path that was reached. */
  furthest = 0;
  /** A hop from the furthest service to the next one whose parent is no exit span. */
  wrongParent: ParentAndChild | undefined;
  readonly #path: readonly string[];
  readonly #tested: TraceUnderTest;
  readonly #tried = new Set<string>();

  constructor(path: readonly string[], tested: TraceUnderTest) {
    this.#path = path;
    this.#tested = tested;
  }

  /** True when the rest of the path is found below an entry of its service number `index`. */
  reachesEnd(entry: Span, index: number): boolean {
    const key = `${index} ${entry.traceId} ${entry.spanId}`;
    if (this.#tried.has(key)) return false;
    this.#tried.add(key);
    if (index > this.furthest) {
      this.furthest = index;
      this.wrongParent = undefined;
    }
    if (index === this.#path.length - 1) return true;
    for (const hop of this.#hopsTo(this.#path[index + 1], entry)) {
      if (isSentBy(hop)) {
        if (this.reachesEnd(hop.child, index + 1)) return true;
      } else if (index === this.furthest) {
        this.wrongParent = hop;
      }
    }
    return false;
  }

  *#hopsTo(service: string | undefined, entry: Span): Generator<ParentAndChild> {
    for (const parent of this.#tested.withinProcess(entry)) {
      for (const child of this.#tested.hopsFrom(parent)) {
        if (child.service === service) yield { parent, child };
      }
    }
  }
}

// Some instrumentations give their sending spans another kind, but the system's name all the same.
function isSentBy({ parent, child }: ParentAndChild): boolean {
  if (isExit(parent)) return true;
  const { system } = addressOf(parent);
  return system !== undefined && system === addressOf(child).system;
}

function missingHop(
  from: string,
  to: string,
  search: PathSearch,
  tested: TraceUnderTest,
  findings: readonly Finding[],
  allServices: ReadonlySet<string>,
): string {
  const broken = findings.find(
    (finding) => finding.verdict !== undefined && finding.from === from && finding.to === to,
  );
  if (broken?.verdict !== undefined) {
    return `${from} → ${to} (${broken.via}) is ${broken.verdict.code}`;
  }
  if (search.wrongParent !== undefined) {
    const { parent, child } = search.wrongParent;
    return `"${child.name}" of ${to} continues "${parent.name}" of ${from}, which is ${parent.kind} and no exit`;
  }
  if (tested.services.includes(to)) return `${to} took part, but not below ${from}`;
  return absence(to, tested, allServices);
}

function absence(
  service: string,
  tested: TraceUnderTest,
  allServices: ReadonlySet<string>,
): string {
  if (tested.services.includes(service)) return `${service} has no entry span`;
  return allServices.has(service)
    ? `${service} sent spans, but none in this trace`
    : `no span of ${service} arrived`;
}
