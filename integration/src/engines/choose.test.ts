import { describe, expect, test } from "vitest";
import { askedKind, choose, type Finding } from "./choose.js";
import type { EngineKind } from "./options.js";

const works = (because: string): Finding<string> => ({ works: true, because, start: because });
const lacks = (...missing: string[]): Finding<string> => ({ works: false, missing });

const noAddress = lacks("KAFKA_BROKERS is not set", "REDIS_URL is not set");
const noEngine = lacks("no Docker engine answers: start one");
const noImages = lacks(
  "the image redis:7 is not here and cannot be pulled: make it (no such host)",
);
const noJava = lacks("java is not installed: install a JRE 17 or newer");

/** Findings that remember which of them somebody looked at. */
function machine(external: Finding<string>, docker: Finding<string>, local: Finding<string>) {
  const looked: EngineKind[] = [];
  const tell = (kind: EngineKind, finding: Finding<string>) => async () => {
    looked.push(kind);
    return finding;
  };
  const look = {
    external: tell("external", external),
    docker: tell("docker", docker),
    local: tell("local", local),
  };
  return { looked, look };
}

const auto = { kind: "auto", by: "nothing was asked for" } as const;

describe("without a wish", () => {
  test.each([
    {
      machine: machine(works("KAFKA_BROKERS is set"), works("Docker"), works("java")),
      kind: "external",
      reason: "KAFKA_BROKERS is set",
      looked: ["external"],
    },
    {
      machine: machine(noAddress, works("Docker engine 20 answers"), works("java")),
      kind: "docker",
      reason:
        "Docker engine 20 answers; not external: KAFKA_BROKERS is not set, REDIS_URL is not set",
      looked: ["external", "docker"],
    },
    {
      machine: machine(noAddress, noEngine, works("java 17.0.15")),
      kind: "local",
      reason:
        "java 17.0.15; not external: KAFKA_BROKERS is not set, REDIS_URL is not set; not docker: no Docker engine answers",
      looked: ["external", "docker", "local"],
    },
    {
      machine: machine(noAddress, noImages, works("java 17.0.15")),
      kind: "local",
      reason:
        "java 17.0.15; not external: KAFKA_BROKERS is not set, REDIS_URL is not set; not docker: the image redis:7 is not here and cannot be pulled",
      looked: ["external", "docker", "local"],
    },
  ])("$kind is the first that works, and the reason says so", async (example) => {
    const choice = await choose(auto, example.machine.look);

    expect({ kind: choice.kind, reason: choice.reason, looked: example.machine.looked }).toEqual({
      kind: example.kind,
      reason: example.reason,
      looked: example.looked,
    });
  });

  test("when nothing works one error names all three ways, what each needs and what to do", async () => {
    const { look } = machine(noAddress, noEngine, noJava);

    await expect(choose(auto, look)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [Error: there are no engines for the test to run on. One of these three ways is needed:
        external: needs addresses of running engines in KAFKA_BROKERS and REDIS_URL
          - KAFKA_BROKERS is not set
          - REDIS_URL is not set
        docker: needs a Docker engine, and the images here or a registry to pull them from
          - no Docker engine answers: start one
        local: needs Java 17 or newer, Maven, and redis-server or valkey-server 6.2 or newer
          - java is not installed: install a JRE 17 or newer]
    `);
  });
});

describe("with a wish", () => {
  const byOption = { kind: "local", by: 'kind "local" was asked for' } as const;

  test("nothing else is looked at", async () => {
    const { look, looked } = machine(works("KAFKA_BROKERS is set"), works("Docker"), works("java"));

    const choice = await choose(byOption, look);

    expect(choice).toEqual({
      kind: "local",
      reason: 'kind "local" was asked for; java',
      start: "java",
    });
    expect(looked).toEqual(["local"]);
  });

  test("a kind that cannot work fails with its own reason, and is not replaced by another", async () => {
    const { look, looked } = machine(works("KAFKA_BROKERS is set"), works("Docker"), noJava);

    await expect(choose(byOption, look)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [Error: kind "local" was asked for, but that cannot work here:
        local: needs Java 17 or newer, Maven, and redis-server or valkey-server 6.2 or newer
          - java is not installed: install a JRE 17 or newer]
    `);
    expect(looked).toEqual(["local"]);
  });

  test.each([
    { option: undefined, variable: undefined, kind: "auto" },
    { option: undefined, variable: "", kind: "auto" },
    { option: undefined, variable: "auto", kind: "auto" },
    { option: undefined, variable: "docker", kind: "docker" },
    { option: "local", variable: "docker", kind: "local" },
    { option: "auto", variable: "docker", kind: "docker" },
  ] as const)("kind $option with TRACEFERRY_ENGINES=$variable means $kind", (example) => {
    const asked = askedKind(example.option, { TRACEFERRY_ENGINES: example.variable });

    expect(asked.kind).toBe(example.kind);
  });

  test("a misspelt TRACEFERRY_ENGINES is refused by name", () => {
    expect(() => askedKind(undefined, { TRACEFERRY_ENGINES: "Docker" })).toThrow(
      'TRACEFERRY_ENGINES is "Docker"; it may be external, docker, local or auto',
    );
  });
});
