import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { type BinaryName, binary } from "./backends/binaries.js";
import { BUILD_TIMEOUT_MS, describeWithBackends } from "./backends/describe.test-support.js";
import { imageName } from "./containers/images.js";
import { REPOSITORY_ROOT } from "./engines/paths.js";
import { Scope } from "./engines/scope.js";
import { readConfig } from "./system/config.js";
import { PARTITIONS, TOPICS } from "./system/messages.js";
import { GATEWAY, ROLES } from "./topology/roles.js";

const DEPLOY = join(REPOSITORY_ROOT, "integration/deploy");
const read = (file: string): string => readFileSync(join(DEPLOY, file), "utf8");

const service = z.object({
  image: z.string(),
  restart: z.string(),
  user: z.string().optional(),
  profiles: z.array(z.string()).default([]),
  command: z.array(z.string()).default([]),
  environment: z.record(z.string(), z.string().nullable()).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  cap_drop: z.array(z.string()).default([]),
  healthcheck: z.unknown().optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
});
const { services, volumes } = z
  .object({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.unknown()) })
  .parse(parse(read("compose.yaml"), { merge: true }));
const composeServices = Object.entries(services).map(([name, definition]) => ({
  name,
  ...definition,
}));
const roles = ROLES.map((role) => ({ role, ...services[role.name] }));

describe("the compose file", () => {
  test.each(roles)(
    "runs the role $role.name from its image",
    ({ role, image, environment = {} }) => {
      expect(image).toBe(imageName(role, "ts"));
      expect(environment.PORT).toBe(role.port === undefined ? undefined : String(role.port));
      for (const [variable, needed] of Object.entries(role.needs)) {
        const port = ROLES.find(({ name }) => name === needed)?.port;
        expect(environment[variable]).toContain(`${needed}:${port}`);
      }
    },
  );

  test.each(roles)("gives $role.name settings that it knows", ({ environment = {} }) => {
    const source = readFileSync(join(REPOSITORY_ROOT, "integration/src/system/config.ts"), "utf8");
    const unknown = Object.keys(environment).filter(
      (name) => !name.startsWith("OTEL_") && !source.includes(`  ${name}: `),
    );
    expect(unknown).toEqual([]);
    expect(() => readConfig(withDefaults(environment))).not.toThrow();
  });

  test("lets the environment choose which senders and which baggage the gateway accepts", () => {
    const edge = services[GATEWAY]?.environment;
    expect(edge).toHaveProperty(
      "EDGE_RELATION",
      expect.stringMatching(/^\$\{EDGE_RELATION:-child\}$/),
    );
    expect(edge).toHaveProperty("EDGE_BAGGAGE", null);
  });

  test("gives every traced role its name, and the collector's address", () => {
    const traced = roles.filter(({ role }) => role.name !== "provider");
    for (const { role, environment = {} } of traced) {
      expect(environment.OTEL_SERVICE_NAME).toBe(role.name);
      expect(environment.OTEL_EXPORTER_OTLP_ENDPOINT).toBe("http://collector:4318");
    }
  });

  test("has addresses of existing services only", () => {
    const addresses = composeServices.flatMap(({ environment }) =>
      Object.entries(environment)
        .filter(([variable]) => /^(KAFKA_BROKERS|REDIS_URL|.*_ADDRESS|.*_ENDPOINT)$/.test(variable))
        .map(([, value]) => (value ?? "").replace(/^\w+:\/\//, "").replace(/:\d+$/, "")),
    );
    expect(new Set(addresses).size).toBeGreaterThan(4);
    expect(addresses.filter((host) => services[host] === undefined)).toEqual([]);
  });

  test("creates the topics that the roles use, with as many partitions", () => {
    const script = services.topics?.command.at(-1) ?? "";
    expect(/for topic in (.*); do/.exec(script)?.[1]?.split(" ").sort()).toEqual(
      [...TOPICS].sort(),
    );
    expect(script).toContain(`--partitions ${PARTITIONS} `);
  });

  test("waits for the services that a service needs, on conditions that can be met", () => {
    const wrong = composeServices.flatMap(({ name, depends_on: needs }) =>
      Object.entries(needs)
        .filter(([needed, { condition }]) => !canBecome(needed, condition))
        .map(([needed]) => `${name} waits for ${needed}`),
    );
    expect(wrong).toEqual([]);
  });

  test("publishes ports on this machine only", () => {
    const published = composeServices.flatMap(({ ports }) => ports);
    expect(published.length).toBeGreaterThan(3);
    expect(published.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([]);
  });

  test("pins every image, and restarts services that end", () => {
    expect(composeServices.filter(({ image }) => !/:(local|v?\d[\w.]*)$/.test(image))).toEqual([]);
    const once = composeServices.filter(({ restart }) => restart !== "unless-stopped");
    expect(once.map(({ name }) => name)).toEqual(["topics", "jaeger-storage"]);
  });

  test("runs nothing as root except the step that changes the owner of a volume", () => {
    const root = composeServices.filter(({ user }) => user === "root" || user?.startsWith("0"));
    expect(root.map(({ name }) => name)).toEqual(["jaeger-storage"]);
    expect(composeServices.filter(({ cap_drop: dropped }) => !dropped.includes("ALL"))).toEqual([]);
  });

  test("mounts existing files and volumes only", () => {
    const sources = composeServices.flatMap(({ volumes: mounts }) =>
      mounts.map((mount) => mount.split(":")[0] ?? ""),
    );
    const missing = sources.filter((source) =>
      source.startsWith("./") ? !existsSync(join(DEPLOY, source)) : !(source in volumes),
    );
    expect(missing).toEqual([]);
  });

  test("uses the images that the suite runs on, and the collector that it builds", () => {
    const docker = readFileSync(join(REPOSITORY_ROOT, "integration/src/engines/docker.ts"), "utf8");
    expect(docker).toContain(`"${services.kafka?.image}"`);
    expect(docker).toContain(`"${services.redis?.image}"`);
    const manifest = readFileSync(
      join(REPOSITORY_ROOT, "integration/backends/collector/manifest.yaml"),
      "utf8",
    );
    const built = z.object({ dist: z.object({ version: z.string() }) }).parse(parse(manifest));
    expect(services.collector?.image).toMatch(new RegExp(`:${built.dist.version}$`));
  });
});

describe("Tempo and Grafana", () => {
  const dashboard = z
    .object({ uid: z.string(), panels: z.array(z.record(z.string(), z.unknown())) })
    .parse(JSON.parse(read("grafana/dashboards/jeeves.json")));

  test("are in the profile tempo, and nothing else is", () => {
    const inProfile = composeServices.filter(({ profiles }) => profiles.length > 0);
    expect(inProfile.map(({ name, profiles }) => [name, profiles])).toEqual([
      ["tempo", ["tempo"]],
      ["grafana", ["tempo"]],
    ]);
  });

  test("keep traces as long as Jaeger does: 30 days", () => {
    expect(parse(read("tempo/tempo.yaml"))).toMatchObject({
      compactor: { compaction: { block_retention: "720h" } },
    });
    expect(parse(read("jaeger/jaeger.yaml"))).toMatchObject({
      extensions: {
        jaeger_storage: { backends: { traces: { badger: { ttl: { spans: "720h" } } } } },
      },
    });
  });

  test("have a dashboard that queries provisioned data sources only", () => {
    const provisioned = z
      .object({ datasources: z.array(z.object({ uid: z.string(), url: z.string() })) })
      .parse(parse(read("grafana/provisioning/datasources/tempo.yaml"))).datasources;
    const asked = [...JSON.stringify(dashboard).matchAll(/"datasource":\{[^}]*"uid":"([^"]*)"/g)];
    expect(asked.length).toBeGreaterThan(8);
    expect(new Set(asked.map(([, uid]) => uid))).toEqual(
      new Set(provisioned.map(({ uid }) => uid)),
    );
    expect(provisioned.map(({ url }) => services[new URL(url).hostname])).not.toContain(undefined);
  });

  test("have a dashboard where Grafana looks for it", () => {
    const [provider] = z
      .object({ providers: z.array(z.object({ options: z.object({ path: z.string() }) })) })
      .parse(parse(read("grafana/provisioning/dashboards/jeeves.yaml"))).providers;
    const path = provider?.options.path;
    expect(services.grafana?.volumes).toContain(`./grafana/dashboards:${path}:ro`);
    const home = services.grafana?.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH;
    expect(home).toBe(`${path}/jeeves.json`);
  });

  test("have a dashboard with rate, errors and duration by service, and links to traces", () => {
    const queries = JSON.stringify(dashboard.panels);
    expect(queries).toMatch(/\| rate\(\) by \(resource\.service\.name\)/);
    expect(queries).toMatch(/status = error } \| rate\(\) by \(resource\.service\.name\)/);
    expect(queries).toMatch(/quantile_over_time\(duration, [^)]*\) by \(resource\.service\.name\)/);
    expect(queries).toContain(GATEWAY);
    expect(dashboard.panels.some(({ type }) => type === "table")).toBe(true);
  });
});

test("every YAML file can be parsed", () => {
  const files = globSync("**/*.yaml", { cwd: DEPLOY });
  expect(files.length).toBeGreaterThan(7);
  for (const file of files) expect(() => parse(read(file), { merge: true }), file).not.toThrow();
});

describeWithBackends(
  "the validation of the collector and of Jaeger",
  ["collector", "jaeger"],
  () => {
    test.each(["jaeger", "tempo"])(
      "accepts the collector's configuration with an export to %s",
      async (to) => {
        const files = ["collector/collector.yaml", `collector/export-to-${to}.yaml`];
        expect(await validate("collector", files)).toEqual({ exitCode: 0, output: "" });
      },
      BUILD_TIMEOUT_MS,
    );

    test(
      "accepts the configuration of Jaeger",
      async () => {
        expect(await validate("jaeger", ["jaeger/jaeger.yaml"])).toMatchObject({ exitCode: 0 });
      },
      BUILD_TIMEOUT_MS,
    );

    test("rejects a wrong file", async () => {
      const { exitCode, output } = await validate("collector", ["jaeger/jaeger.yaml"]);
      expect(exitCode).toBe(1);
      expect(output).toContain("jaeger_storage");
    });
  },
);

async function validate(
  name: BinaryName,
  files: readonly string[],
): Promise<{ exitCode: number | undefined; output: string }> {
  const scope = new Scope(() => undefined, undefined);
  try {
    const file = await binary(scope, name);
    const configs = files.map((config) => `--config=file:${join(DEPLOY, config)}`);
    const options = { all: true, reject: false, cwd: dirname(file) } as const;
    const { exitCode, all } = await execa(file, ["validate", ...configs], options);
    return { exitCode, output: all };
  } finally {
    await scope.end();
  }
}

/** The settings that Compose passes on by default: `${NAME:-default}` is the default, null is not set. */
function withDefaults(environment: Readonly<Record<string, string | null>>): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value === null ? [] : [[name, value.replace(/^\$\{\w+:-(.*)\}$/, "$1")]],
    ),
  );
}

/** True when the condition can be met. The images of roles have a health check of their own. */
function canBecome(needed: string, condition: string): boolean {
  const dependency = services[needed];
  if (dependency === undefined || dependency.profiles.some((profile) => profile !== "tempo"))
    return false;
  if (condition === "service_started") return true;
  if (condition === "service_completed_successfully")
    return dependency.restart !== "unless-stopped";
  const isRole = ROLES.some(({ name }) => name === needed);
  return condition === "service_healthy" && (isRole || dependency.healthcheck !== undefined);
}
