const MAX_LINES = 400;
// `[Ee]xception` has no word boundary in front, so that "BindException: Address already in use" matches.
const FAULT_LINE = /\b(ERROR|FATAL|Caused by)\b|[Ee]xception|[Ee]rror:/;

/** The last lines that each engine printed, up to 400 for each. */
export class Lines {
  readonly #printed = new Map<string, string[]>();

  /** Appends one line of an engine. */
  add(engine: string, line: string): void {
    const lines = this.#printed.get(engine) ?? [];
    lines.push(line);
    if (lines.length > MAX_LINES) lines.shift();
    this.#printed.set(engine, lines);
  }

  /** The errors and the last lines that one engine printed, for the message of an error. */
  summary(engine: string): string {
    const lines = this.#printed.get(engine) ?? [];
    if (lines.length === 0) return "It printed nothing.";
    const indent = (line: string) => `  ${line}`;
    // A broker that fails logs the cause first, and then a page about its orderly shutdown.
    const faults = lines.filter((line) => FAULT_LINE.test(line)).slice(0, 8);
    const last = ["Its last lines:", ...lines.slice(-8).map(indent)];
    if (faults.length === 0) return last.join("\n");
    return ["It complained:", ...faults.map(indent), ...last].join("\n");
  }

  /** All lines that are kept, each with the name of its engine in front. */
  all(): string {
    return [...this.#printed]
      .flatMap(([engine, lines]) => lines.map((line) => `${engine}: ${line}`))
      .join("\n");
  }
}
