import { addressOf } from "../diagnose/address.js";
import type { Finding } from "../diagnose/finding.js";
import { isExit, type Span } from "../span.js";
import type { Subject } from "./trace-under-test.js";

/** Why the path is not there; undefined when it is. */
export function pathProblem(
  path: readonly string[],
  subject: Subject,
  findings: readonly Finding[],
  allServices: ReadonlySet<string>,
): string | undefined {
  const [first] = path;
  if (first === undefined) return undefined;
  const walk = new Walk(path, subject);
  const starts = subject.entries().filter((span) => span.service === first);
  if (starts.some((span) => walk.reachesEnd(span, 0))) return undefined;
  if (starts.length === 0) return `path ${shown(path)}: ${absence(first, subject, allServices)}`;
  const from = path[walk.furthest] ?? first;
  const to = path[walk.furthest + 1] ?? "";
  return `path ${shown(path)} ends at ${from}: ${missingHop(from, to, walk, subject, findings, allServices)}`;
}

/** The path as people write it. */
export function shown(path: readonly string[]): string {
  return path.join(" → ");
}

/** Follows a path down the tree and remembers how far it came. */
class Walk {
  /** The last service on the path that was reached, by its place. */
  furthest = 0;
  /** A callee at the furthest place whose parent is no exit span. */
  wrongParent: { readonly parent: Span; readonly child: Span } | undefined;
  readonly #path: readonly string[];
  readonly #subject: Subject;
  readonly #tried = new Set<string>();

  constructor(path: readonly string[], subject: Subject) {
    this.#path = path;
    this.#subject = subject;
  }

  reachesEnd(entry: Span, place: number): boolean {
    const key = `${place} ${entry.traceId} ${entry.spanId}`;
    if (this.#tried.has(key)) return false;
    this.#tried.add(key);
    if (place > this.furthest) {
      this.furthest = place;
      this.wrongParent = undefined;
    }
    if (place === this.#path.length - 1) return true;
    for (const span of this.#subject.within(entry)) {
      for (const child of this.#subject.hopsFrom(span)) {
        if (child.service !== this.#path[place + 1]) continue;
        if (isLeftThrough(span, child)) {
          if (this.reachesEnd(child, place + 1)) return true;
        } else if (place === this.furthest) {
          this.wrongParent = { parent: span, child };
        }
      }
    }
    return false;
  }
}

// Some instrumentations give their sending spans another kind, but name the system all the same.
function isLeftThrough(parent: Span, child: Span): boolean {
  if (isExit(parent)) return true;
  const { system } = addressOf(parent);
  return system !== undefined && system === addressOf(child).system;
}

function missingHop(
  from: string,
  to: string,
  walk: Walk,
  subject: Subject,
  findings: readonly Finding[],
  allServices: ReadonlySet<string>,
): string {
  const broken = findings.find(
    (finding) =>
      finding.verdict !== undefined &&
      finding.from === from &&
      finding.to === to &&
      (subject.has(finding.exit) || subject.has(finding.entry)),
  );
  if (broken?.verdict !== undefined) {
    return `${from} → ${to} (${broken.via}) is ${broken.verdict.code}`;
  }
  if (walk.wrongParent !== undefined) {
    const { parent, child } = walk.wrongParent;
    return `"${child.name}" of ${to} continues "${parent.name}" of ${from}, which is ${parent.kind} and no exit`;
  }
  if (subject.services.includes(to)) return `${to} took part, but not below ${from}`;
  return absence(to, subject, allServices);
}

function absence(service: string, subject: Subject, allServices: ReadonlySet<string>): string {
  if (subject.services.includes(service)) return `${service} has no entry span`;
  return allServices.has(service)
    ? `${service} sent spans, but none in this trace`
    : `no span of ${service} arrived`;
}
