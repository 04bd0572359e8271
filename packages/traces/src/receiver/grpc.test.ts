import * as grpc from "@grpc/grpc-js";
import { afterEach, describe, expect, test, vi } from "vitest";
import { attribute, bytes, ids, message, request, text } from "../otlp/request.test-support.js";
import { SLOW_TEST } from "../span-factory.test-support.js";
import { startReceiver } from "./index.js";

afterEach(() => {
  vi.doUnmock("@grpc/grpc-js");
  vi.resetModules();
});

describe("OTLP over gRPC", () => {
  test("a batch above gRPC's own limit of 4 MB arrives", SLOW_TEST, async () => {
    await using receiver = await startReceiver();
    const large = message(text(1, "x".repeat(5 * 1024 * 1024)));

    await exported(receiver.grpcUrl, request(message(...ids(), bytes(9, attribute("a", large)))));

    expect(receiver.spans).toHaveLength(1);
    expect(String(receiver.spans[0]?.attributes.a)).toHaveLength(5 * 1024 * 1024);
  });

  test("a broken message is refused as an invalid argument", async () => {
    await using receiver = await startReceiver();

    const call = exported(receiver.grpcUrl, request(message(...ids())).subarray(0, 20));

    await expect(call).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
    expect(receiver.spans).toEqual([]);
  });

  test("metrics and logs are accepted and ignored", async () => {
    await using receiver = await startReceiver();

    for (const service of ["metrics.v1.MetricsService", "logs.v1.LogsService"]) {
      expect(await exported(receiver.grpcUrl, request(message(...ids())), service)).toHaveLength(0);
    }
    expect(receiver.spans).toEqual([]);
  });

  test("without gRPC there is no address for it", async () => {
    await using receiver = await startReceiver({ grpc: false });

    expect(receiver.grpcUrl).toBeUndefined();
  });

  test("where grpc-js is not installed the receiver takes HTTP only, unless gRPC is asked for", async () => {
    vi.resetModules();
    vi.doMock("@grpc/grpc-js", () => {
      throw new Error("Cannot find package '@grpc/grpc-js'");
    });
    const { startReceiver: start } = await import("./index.js");

    await using receiver = await start();

    expect(receiver.grpcUrl).toBeUndefined();
    expect(receiver.httpUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await expect(start({ grpc: true })).rejects.toThrow(/needs the package @grpc\/grpc-js/);
  });
});

async function exported(
  url: string | undefined,
  body: Uint8Array,
  service = "trace.v1.TraceService",
): Promise<Buffer> {
  const address = new URL(url ?? "").host;
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const identity = (bytes: Buffer): Buffer => bytes;
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      client.makeUnaryRequest(
        `/opentelemetry.proto.collector.${service}/Export`,
        identity,
        identity,
        Buffer.from(body),
        (error, reply) => {
          if (error) reject(error);
          else resolve(reply ?? Buffer.alloc(0));
        },
      );
    });
  } finally {
    client.close();
  }
}
