import { execa } from "execa";

/**
 * A shell that waits for us to die. It reads commands, and runs them, newest first, when its input ends without
 * "done": that is the one sign of our death that no kind of death can suppress. Signals of the terminal are
 * ignored, because Ctrl-C reaches it too.
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

/** Cleans up after this process when it is killed or crashes, where no code of its own can. */
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
    // A guard that is gone cannot be written to; what it guards is still ended in the orderly way.
    this.#shell.stdin.on("error", () => undefined);
  }

  static start(): Reaper {
    return new Reaper();
  }

  addProcess(pid: number): void {
    this.#write(`kill -9 ${pid}`);
  }

  addFolder(folder: string): void {
    this.#write(`rm -rf -- ${quote(folder)}`);
  }

  /** Needs the docker command; without it such containers stay when we are killed and there is no Ryuk. */
  addContainers(label: string): void {
    this.#write(
      `containers=$(docker ps -aq --filter label=${quote(label)}) && [ -n "$containers" ] && docker rm -fv $containers`,
    );
  }

  /** Removes the network and all containers on it. Needs the docker command. */
  addNetwork(name: string): void {
    const network = quote(name);
    // Another guard may be removing some of the same containers: the network goes when the last of them has.
    this.#write(
      `for _ in 1 2 3 4 5 6 7 8 9 10; do containers=$(docker ps -aq --filter network=${network}); ` +
        `[ -z "$containers" ] || docker rm -fv $containers; docker network rm ${network} && break; sleep 0.5; done`,
    );
  }

  /** Everything was ended in the orderly way. */
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
