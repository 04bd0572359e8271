import { execa } from "execa";

/**
 * A shell that outlives this process. It reads commands, and runs them, newest first, when its input ends without "done",
 * which happens however this process dies. It ignores signals, because Ctrl-C in a terminal reaches it too.
 */
const SCRIPT = `
trap '' INT TERM HUP
commands=
while IFS= read -r line; do
  [ "$line" = done ] && exit 0
  commands="$line
$commands"
done
eval "$commands"
`;

/** Cleans up after this process when it crashes or is killed, where no code of its own can. */
export class Reaper {
  readonly #shell;

  private constructor() {
    this.#shell = execa("sh", ["-c", SCRIPT], {
      stdin: "pipe",
      stdout: "ignore",
      stderr: "ignore",
      buffer: false,
      cleanup: false,
      reject: false,
    });
    // When the shell is gone, everything is still ended in order by this process.
    this.#shell.stdin.on("error", () => undefined);
  }

  /** Starts the shell. */
  static start(): Reaper {
    return new Reaper();
  }

  /** Kills the process when this one dies. */
  addProcess(pid: number): void {
    this.#write(`kill -9 ${pid}`);
  }

  /** Removes the folder or file when this process dies. */
  addFolder(folder: string): void {
    this.#write(`rm -rf -- ${quote(folder)}`);
  }

  /** Removes the containers with the label when this process dies. Needs the command docker. */
  addContainers(label: string): void {
    this.#write(
      `containers=$(docker ps -aq --filter label=${quote(label)}) && [ -n "$containers" ] && docker rm -fv $containers`,
    );
  }

  /** Removes the network and all containers on it when this process dies. Needs the command docker. */
  addNetwork(name: string): void {
    const network = quote(name);
    // Another reaper may be removing the same containers, and the network can only go after the last of them.
    this.#write(
      `for _ in 1 2 3 4 5 6 7 8 9 10; do containers=$(docker ps -aq --filter network=${network}); ` +
        `[ -z "$containers" ] || docker rm -fv $containers; docker network rm ${network} && break; sleep 0.5; done`,
    );
  }

  /** Ends the shell without running the commands. */
  async done(): Promise<void> {
    this.#shell.stdin.end("done\n");
    await this.#shell;
  }

  #write(command: string): void {
    this.#shell.stdin.write(`${command}\n`);
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
