#!/usr/bin/env node
import { Argument, Command } from "commander";
import { Run } from "../engines/scope.js";
import { endOnSignal } from "../engines/signals.js";
import { messageOf } from "../system/spans.js";
import { BINARY_NAMES, type BinaryName, binary } from "./binaries.js";

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function build(names: readonly BinaryName[]): Promise<void> {
  const run = new Run(say, undefined);
  const forget = endOnSignal(() => run.end(new Error("the process was told to stop")));
  try {
    for (const name of names) {
      // One after the other: each uses all cores by itself.
      const file = await run.step(() => binary(run, name));
      process.stdout.write(`${file}\n`);
    }
  } catch (error) {
    say(messageOf(error));
    process.exitCode = 1;
  } finally {
    await run.end();
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
