const MAX_LINES = 400;
// "BindException: Address already in use" is one too, wherever the word ends.
const FAULT_LINE = /\b(ERROR|FATAL|Caused by)\b|[Ee]xception|[Ee]rror:/;

/** The last lines that each engine printed. */
export class Lines {
  readonly #printed = new Map<string, string[]>();

  add(engine: string, line: string): void {
    const lines = this.#printed.get(engine) ?? [];
    lines.push(line);
    if (lines.length > MAX_LINES) lines.shift();
    this.#printed.set(engine, lines);
  }

  /** What one engine complained about, and its last lines: for an error's message. */
  summary(engine: string): string {
    const lines = this.#printed.get(engine) ?? [];
    if (lines.length === 0) return "It printed nothing.";
    const indent = (line: string) => `  ${line}`;
    // A broker that fails says why, and then spends a page on ending in an orderly way.
    const faults = lines.filter((line) => FAULT_LINE.test(line)).slice(0, 8);
    const last = ["Its last lines:", ...lines.slice(-8).map(indent)];
    if (faults.length === 0) return last.join("\n");
    return ["It complained:", ...faults.map(indent), ...last].join("\n");
  }

  all(): string {
    return [...this.#printed]
      .flatMap(([engine, lines]) => lines.map((line) => `${engine}: ${line}`))
      .join("\n");
  }
}
