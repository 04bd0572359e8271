import { describe, expect, test } from "vitest";
import { type Availability, choose, requestedKind } from "./choose.js";
import type { EngineKind } from "./options.js";

const available = (reason: string): Availability<string> => ({
  available: true,
  reason,
  start: reason,
});
const unavailable = (...missing: string[]): Availability<string> => ({ available: false, missing });

const NO_ADDRESS = unavailable("KAFKA_BROKERS is not set", "REDIS_URL is not set");
const NO_ENGINE = unavailable("no Docker engine answers: start one");
const NO_IMAGES = unavailable(
  "the image redis:7 is not here and cannot be pulled: make it (no such host)",
);
const NO_JAVA = unavailable("java is not installed: install a JRE 17 or newer");

/** Detectors with these results, and the list of those that were called. */
function machine(
  external: Availability<string>,
  docker: Availability<string>,
  local: Availability<string>,
) {
  const detected: EngineKind[] = [];
  const detector = (kind: EngineKind, availability: Availability<string>) => async () => {
    detected.push(kind);
    return availability;
  };
  const detectors = {
    external: detector("external", external),
    docker: detector("docker", docker),
    local: detector("local", local),
  };
  return { detected, detectors };
}

const AUTO = { kind: "auto", by: "nothing was asked for" } as const;

describe("when no kind is requested", () => {
  test.each([
    {
      machine: machine(available("KAFKA_BROKERS is set"), available("Docker"), available("java")),
      kind: "external",
      reason: "KAFKA_BROKERS is set",
      detected: ["external"],
    },
    {
      machine: machine(NO_ADDRESS, available("Docker engine 20 answers"), available("java")),
      kind: "docker",
      reason:
        "Docker engine 20 answers; not external: KAFKA_BROKERS is not set, REDIS_URL is not set",
      detected: ["external", "docker"],
    },
    {
      machine: machine(NO_ADDRESS, NO_ENGINE, available("java 17.0.15")),
      kind: "local",
      reason:
        "java 17.0.15; not external: KAFKA_BROKERS is not set, REDIS_URL is not set; not docker: no Docker engine answers",
      detected: ["external", "docker", "local"],
    },
    {
      machine: machine(NO_ADDRESS, NO_IMAGES, available("java 17.0.15")),
      kind: "local",
      reason:
        "java 17.0.15; not external: KAFKA_BROKERS is not set, REDIS_URL is not set; not docker: the image redis:7 is not here and cannot be pulled",
      detected: ["external", "docker", "local"],
    },
  ])("$kind is the first that is available, and the reason says so", async (example) => {
    const choice = await choose(AUTO, example.machine.detectors);

    expect({
      kind: choice.kind,
      reason: choice.reason,
      detected: example.machine.detected,
    }).toEqual({
      kind: example.kind,
      reason: example.reason,
      detected: example.detected,
    });
  });

  test("an error names all three kinds, what each needs and what to do, when none is available", async () => {
    const { detectors } = machine(NO_ADDRESS, NO_ENGINE, NO_JAVA);

    await expect(choose(AUTO, detectors)).rejects.toThrowErrorMatchingInlineSnapshot(`
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

describe("when a kind is requested", () => {
  const byOption = { kind: "local", by: 'kind "local" was asked for' } as const;

  test("no other is looked for", async () => {
    const { detectors, detected } = machine(
      available("KAFKA_BROKERS is set"),
      available("Docker"),
      available("java"),
    );

    const choice = await choose(byOption, detectors);

    expect(choice).toEqual({
      kind: "local",
      reason: 'kind "local" was asked for; java',
      start: "java",
    });
    expect(detected).toEqual(["local"]);
  });

  test("it fails with its own reason when it is not available, and is not replaced by another", async () => {
    const { detectors, detected } = machine(
      available("KAFKA_BROKERS is set"),
      available("Docker"),
      NO_JAVA,
    );

    await expect(choose(byOption, detectors)).rejects.toThrowErrorMatchingInlineSnapshot(`
      [Error: kind "local" was asked for, but that cannot work here:
        local: needs Java 17 or newer, Maven, and redis-server or valkey-server 6.2 or newer
          - java is not installed: install a JRE 17 or newer]
    `);
    expect(detected).toEqual(["local"]);
  });

  test.each([
    { option: undefined, variable: undefined, kind: "auto" },
    { option: undefined, variable: "", kind: "auto" },
    { option: undefined, variable: "auto", kind: "auto" },
    { option: undefined, variable: "docker", kind: "docker" },
    { option: "local", variable: "docker", kind: "local" },
    { option: "auto", variable: "docker", kind: "docker" },
  ] as const)("kind $option with TRACEFERRY_ENGINES=$variable means $kind", (example) => {
    const requested = requestedKind(example.option, { TRACEFERRY_ENGINES: example.variable });

    expect(requested.kind).toBe(example.kind);
  });

  test("a misspelt TRACEFERRY_ENGINES is refused by name", () => {
    expect(() => requestedKind(undefined, { TRACEFERRY_ENGINES: "Docker" })).toThrow(
      'TRACEFERRY_ENGINES is "Docker"; it may be external, docker, local or auto',
    );
  });
});
