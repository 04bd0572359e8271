import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { bytes, ids, jsonRequest, message, request, text } from "../otlp/request.test-support.js";
import { SLOW_TEST } from "../span-factory.test-support.js";
import { startReceiver } from "./index.js";

const PROTOBUF = "application/x-protobuf";
const JSON_TYPE = "application/json";
const ONE_SPAN = request(message(...ids(), text(5, "name")));

describe("OTLP over HTTP", () => {
  test("the media type is compared without its parameters, and the reply has the same", async () => {
    await using receiver = await startReceiver({ grpc: false });

    const reply = await post(receiver.httpUrl, jsonRequest({}), {
      "content-type": "Application/JSON; charset=utf-8",
    });

    expect(reply).toEqual({ status: 200, type: JSON_TYPE, body: "{}" });
    expect(receiver.spans).toHaveLength(1);
  });

  test("a protobuf request is answered with an empty protobuf message", async () => {
    await using receiver = await startReceiver({ grpc: false });

    const reply = await post(receiver.httpUrl, ONE_SPAN, { "content-type": PROTOBUF });

    expect(reply).toEqual({ status: 200, type: PROTOBUF, body: "" });
    expect(receiver.spans).toMatchObject([{ name: "name" }]);
  });

  test("two requests at the same time both arrive", async () => {
    await using receiver = await startReceiver({ grpc: false });

    const replies = await Promise.all([
      post(receiver.httpUrl, ONE_SPAN, { "content-type": PROTOBUF }),
      post(receiver.httpUrl, jsonRequest({}), { "content-type": JSON_TYPE }),
    ]);

    expect(replies).toMatchObject([{ status: 200 }, { status: 200 }]);
    expect(receiver.spans).toHaveLength(2);
  });

  test("a span that cannot be used is reported as a partial success, in both encodings", async () => {
    await using receiver = await startReceiver({ grpc: false });

    const inJson = await post(receiver.httpUrl, jsonRequest({}, { traceId: "x" }), {
      "content-type": JSON_TYPE,
    });
    const inProtobuf = await post(receiver.httpUrl, request(message(...ids("0af7"))), {
      "content-type": PROTOBUF,
    });

    expect(JSON.parse(inJson.body)).toEqual({
      partialSuccess: {
        rejectedSpans: "1",
        errorMessage: expect.stringContaining('trace id "x"'),
      },
    });
    expect(inProtobuf).toMatchObject({ status: 200, type: PROTOBUF });
    expect(inProtobuf.body).toContain('trace id "0af7"');
    expect(receiver.spans).toHaveLength(1);
  });

  test.each([
    { what: "truncated protobuf", body: ONE_SPAN.subarray(0, 20), type: PROTOBUF, status: 400 },
    { what: "broken JSON", body: Buffer.from("{"), type: JSON_TYPE, status: 400 },
    { what: "another media type", body: ONE_SPAN, type: "text/plain", status: 415 },
    { what: "no media type", body: ONE_SPAN, type: "", status: 415 },
    { what: "broken gzip", body: ONE_SPAN, type: PROTOBUF, encoding: "gzip", status: 400 },
    { what: "an unknown encoding", body: ONE_SPAN, type: PROTOBUF, encoding: "br", status: 415 },
  ])("$what is refused with $status", async ({ body, type, encoding, status }) => {
    await using receiver = await startReceiver({ grpc: false });

    const reply = await post(receiver.httpUrl, body, {
      ...(type !== "" && { "content-type": type }),
      ...(encoding && { "content-encoding": encoding }),
    });

    expect(reply).toMatchObject({ status, type: type === PROTOBUF ? PROTOBUF : JSON_TYPE });
    expect(reply.body).not.toBe("");
    expect(receiver.spans).toEqual([]);
  });

  test("other paths and methods are refused", async () => {
    await using receiver = await startReceiver({ grpc: false });
    const headers = { "content-type": JSON_TYPE };

    const notFound = await post(`${receiver.httpUrl}/v2`, jsonRequest({}), headers);
    const wrongMethod = await fetch(`${receiver.httpUrl}/v1/traces`);

    expect(notFound).toMatchObject({ status: 404, type: JSON_TYPE });
    expect([wrongMethod.status, wrongMethod.headers.get("allow")]).toEqual([405, "POST"]);
  });

  test(
    "a large body to the wrong path gets the error response, not a broken connection",
    SLOW_TEST,
    async () => {
      await using receiver = await startReceiver({ grpc: false });
      const large = new Uint8Array(8 * 1024 * 1024);

      const notFound = await post(`${receiver.httpUrl}/v2`, large, { "content-type": JSON_TYPE });
      const wrong = await post(receiver.httpUrl, large, { "content-type": "text/plain" });

      expect([notFound.status, wrong.status]).toEqual([404, 415]);
    },
  );

  test("metrics and logs are accepted and ignored", async () => {
    await using receiver = await startReceiver({ grpc: false });

    for (const signal of ["metrics", "logs"]) {
      const reply = await fetch(`${receiver.httpUrl}/v1/${signal}`, {
        method: "POST",
        headers: { "content-type": PROTOBUF },
        body: Buffer.from(ONE_SPAN),
      });
      expect(reply.status).toBe(200);
    }
    expect(receiver.spans).toEqual([]);
  });

  test("a body above the limit gets 413, plain, chunked or gzipped, and the receiver lives on", async () => {
    await using receiver = await startReceiver({ grpc: false, maxBodyBytes: 1000 });
    const large = request(message(...ids(), bytes(99, new Uint8Array(3000))));
    const headers = { "content-type": PROTOBUF };

    const plain = await post(receiver.httpUrl, large, headers);
    const inChunks = await chunked(receiver.httpUrl, new Uint8Array(1000), 8);
    const bomb = await post(receiver.httpUrl, gzipSync(large), {
      ...headers,
      "content-encoding": "gzip",
    });
    const small = await post(receiver.httpUrl, ONE_SPAN, headers);

    expect(plain).toMatchObject({ status: 413, type: PROTOBUF });
    expect(inChunks).toBe(413);
    expect(bomb).toMatchObject({ status: 413, type: PROTOBUF });
    expect(small.status).toBe(200);
    expect(receiver.spans).toHaveLength(1);
  });

  test("a body of exactly the limit is taken, one byte more is refused", async () => {
    await using receiver = await startReceiver({ grpc: false, maxBodyBytes: ONE_SPAN.length });
    const headers = { "content-type": PROTOBUF };

    const exact = await post(receiver.httpUrl, ONE_SPAN, headers);
    const above = await post(receiver.httpUrl, Buffer.concat([ONE_SPAN, Buffer.alloc(1)]), headers);

    expect([exact.status, above.status]).toEqual([200, 413]);
    expect(receiver.spans).toHaveLength(1);
  });

  test(
    "a client that writes its whole body before it reads gets the error response, up to eight times the limit",
    SLOW_TEST,
    async () => {
      await using receiver = await startReceiver({ grpc: false, maxBodyBytes: 4 * 1024 * 1024 });

      const reply = await readAfterWriting(receiver.httpUrl, new Uint8Array(32 * 1024 * 1024));

      expect(reply).toMatch(/^HTTP\/1\.1 413 /);
    },
  );

  test("a body that never ends is refused all the same", async () => {
    await using receiver = await startReceiver({ grpc: false, maxBodyBytes: 1000 });

    const endless = await chunked(receiver.httpUrl, new Uint8Array(1000), 9, { isEndless: true });

    expect(endless).toBe(413);
  });

  test("a gzip bomb is not inflated beyond the limit", SLOW_TEST, async () => {
    await using receiver = await startReceiver({ grpc: false });
    // One after the other, gzipped pieces are a gzip of the whole: half a gigabyte in half a megabyte.
    const piece = gzipSync(Buffer.alloc(1024 * 1024));
    const bomb = Buffer.concat(Array.from({ length: 512 }, () => piece));
    const before = process.memoryUsage.rss();

    const reply = await post(receiver.httpUrl, bomb, {
      "content-type": PROTOBUF,
      "content-encoding": "gzip",
    });

    expect(reply.status).toBe(413);
    expect(process.memoryUsage.rss() - before).toBeLessThan(128 * 1024 * 1024);
  });

  test("a client that disconnects in the middle of its body does no harm", async () => {
    await using receiver = await startReceiver({ grpc: false });

    await new Promise<void>((resolve) => {
      const request = httpRequest(`${receiver.httpUrl}/v1/traces`, {
        method: "POST",
        headers: { "content-type": PROTOBUF, "content-length": 500 },
      });
      request.on("error", () => resolve());
      request.on("close", () => resolve());
      request.write(ONE_SPAN.subarray(0, 10), () => request.destroy());
    });
    const reply = await post(receiver.httpUrl, ONE_SPAN, { "content-type": PROTOBUF });

    expect(reply.status).toBe(200);
    expect(receiver.spans).toHaveLength(1);
  });
});

async function post(url: string, body: Uint8Array, headers: Readonly<Record<string, string>>) {
  const target = url.endsWith("/v2") ? url : `${url}/v1/traces`;
  const response = await fetch(target, { method: "POST", headers, body: Buffer.from(body) });
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    body: await response.text(),
  };
}

/** Sends a body of unknown length, which an endless one never completes. */
function chunked(
  url: string,
  chunk: Uint8Array,
  times: number,
  { isEndless = false } = {},
): Promise<number | undefined | "connection error"> {
  return new Promise((resolve) => {
    const request = httpRequest(`${url}/v1/traces`, {
      method: "POST",
      headers: { "content-type": PROTOBUF },
    });
    request.on("response", (response) => resolve(response.statusCode));
    request.on("error", () => resolve("connection error"));
    for (let index = 0; index < times; index += 1) request.write(chunk);
    if (!isEndless) request.end();
  });
}

/** Writes a whole request before it reads anything, as clients do that have no event loop. */
function readAfterWriting(url: string, body: Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url);
  const head = [
    "POST /v1/traces HTTP/1.1",
    `Host: ${hostname}`,
    `Content-Type: ${PROTOBUF}`,
    `Content-Length: ${body.length}`,
  ];
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname).pause();
    socket.on("data", (reply) => {
      resolve(String(reply));
      socket.destroy();
    });
    socket.on("error", (error) => resolve(String(error)));
    socket.on("close", () => resolve("closed without a reply"));
    socket.write(`${head.join("\r\n")}\r\n\r\n`);
    socket.write(body, () => socket.resume());
  });
}
