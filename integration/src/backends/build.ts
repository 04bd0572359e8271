#!/usr/bin/env node
import { Argument, Command } from "commander";
import { Scope } from "../engines/scope.js";
import { endOnSignal, SIGNAL_RECEIVED } from "../engines/signals.js";
import { messageOf } from "../system/spans.js";
import { BINARY_NAMES, type BinaryName, binary } from "./binaries.js";

const log = (line: string): void => void process.stderr.write(`${line}\n`);

async function build(names: readonly BinaryName[]): Promise<void> {
  const scope = new Scope(log, undefined);
  const forget = endOnSignal(() => scope.end(new Error(SIGNAL_RECEIVED)));
  try {
    for (const name of names) {
      // One after the other, because each build uses all cores.
      const file = await scope.step(() => binary(scope, name));
      process.stdout.write(`${file}\n`);
    }
  } catch (error) {
    log(messageOf(error));
    process.exitCode = 1;
  } finally {
    await scope.end();
    await forget();
  }
}

await new Command("build")
  .description(
    "Builds the trace backends into the cache, where they are not there yet, and prints where they are.",
  )
  .addArgument(new Argument("[backend]", "the one to build; default: all").choices(BINARY_NAMES))
  .action((name: BinaryName | undefined) => build(name === undefined ? BINARY_NAMES : [name]))
  .parseAsync();
