/** Attacks by address: what a hijacked model gives web_fetch, in every notation; nothing on this machine is reached. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type TestContext, test } from "node:test";
import { gatewayToken } from "../support/gateway.ts";
import { type ToolCall, toolScene } from "./scene.ts";

/** A listener on loopback that must not be reached. */
async function listener(t: TestContext) {
  const hits: string[] = [];
  const server = createServer((request, response) => {
    hits.push(request.url ?? "");
    response.setHeader("content-type", "text/plain");
    response.end("THE SECRET OF LOOPBACK");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { hits, port: (server.address() as { port: number }).port };
}

/** Every host, on the listener's port where one fits. */
const attacks: readonly (readonly [what: string, urls: (port: number) => readonly string[]])[] = [
  [
    "notations of IPv4 (A-158)",
    (port) =>
      [
        ...[
          "2130706433",
          "0x7f000001",
          "0177.0.0.1",
          "127.1",
          "127.0.1",
          "0",
          "0.0.0.0",
          "017700000001",
          "127.0.0.1.",
        ],
        ...["１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "127.0.0.1", "127.255.255.254"],
      ]
        .map((host) => `http://${host}:${port}/`)
        .concat("http://169.254.43518/"),
  ],
  [
    "IPv4 inside IPv6 (A-159)",
    (port) =>
      [
        ...[
          "[::1]",
          "[0:0:0:0:0:ffff:7f00:1]",
          "[::ffff:127.0.0.1]",
          "[::ffff:a9fe:a9fe]",
          "[::ffff:0:127.0.0.1]",
        ],
        ...["[::127.0.0.1]", "[::]", "[fe80::1%25lo]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"],
      ].map((host) => `http://${host}:${port}/`),
  ],
  [
    "special ranges (A-161)",
    () =>
      [
        ...[
          "10.0.0.1",
          "172.16.0.1",
          "192.168.1.1",
          "100.64.0.1",
          "169.254.169.254",
          "192.0.0.1",
          "192.0.2.1",
        ],
        ...["198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"],
        ...["[fc00::1]", "[fe80::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]"],
      ].map((host) => `http://${host}/`),
  ],
  [
    "names of this network (A-162)",
    (port) =>
      [
        ...["localhost", "LOCALHOST.", "a.localhost", "localhost..", "localhost.localdomain", "ip6-loopback"],
        ...[
          "metadata.google.internal",
          "metadata.google.internal.",
          "METADATA.google.internal..",
          "instance-data",
        ],
        ...["x.internal", "printer.local", "kubernetes.default.svc", "nas"],
      ].map((host) => `http://${host}:${port}/`),
  ],
  [
    "schemes (A-166)",
    (port) => [
      ...[
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "ftp://example.com/",
        "gopher://127.0.0.1/",
        "dict://127.0.0.1/",
      ],
      ...[
        "data:text/html,x",
        "blob:http://example.com/1",
        "javascript:alert(1)",
        "view-source:file:///etc/passwd",
      ],
      ...["chrome://settings", "about:blank#x", "jar:http://example.com!/", `ws://127.0.0.1:${port}/`],
      `http://example.com@127.0.0.1:${port}/`,
      `http://127.0.0.1:${port}\\@example.com/`,
    ],
  ],
];

for (const [what, urls] of attacks)
  test(`policy (5): no tool reaches this machine or its network by ${what}`, async (t) => {
    const { hits, port } = await listener(t);
    const { callAll } = await toolScene(t);
    const calls = urls(port).map((url): ToolCall => ["web_fetch", { url }]);
    for (const [index, text] of (await callAll(calls)).entries()) {
      assert.match(text, /may not be fetched|policy\./, `${JSON.stringify(calls[index])} ${text}`);
      assert.doesNotMatch(text, /THE SECRET|root:x/);
    }
    assert.deepEqual(hits, []);
  });

test("policy (5): a host that an operator listed is reached on its port, and its redirects are judged like any address (A-164, control)", async (t) => {
  const { hits, port } = await listener(t);
  let target = "";
  const listed = createServer((request, response) => {
    if (request.url === "/page") return void response.setHeader("content-type", "text/plain").end("the page");
    response.writeHead(302, { location: target }).end();
  }).listen(0, "127.0.0.1");
  await once(listed, "listening");
  t.after(() => listed.close());
  const own = (listed.address() as { port: number }).port;
  const { callAll } = await toolScene(t, {
    tools: { web: { fetch: { ssrfPolicy: { allowedHostnames: [`127.0.0.1:${own}`] } } } },
  });
  const fetch = async (path: string) =>
    (await callAll([["web_fetch", { url: `http://127.0.0.1:${own}${path}` }]]))[0] ?? "";
  assert.match(await fetch("/page"), /the page/);
  for (target of [
    `http://127.0.0.1:${port}/`,
    `http://2130706433:${port}/`,
    "//169.254.169.254/",
    "file:///etc/passwd",
    "http://[::1]/",
    "ht tp://x",
    `http://127.0.0.1:${own}/again`,
  ])
    assert.match(await fetch("/again"), /may not be fetched|redirect|more than|policy\./i, target);
  assert.deepEqual(hits, []);
  target = "/page";
  assert.match(await fetch("/again"), /the page/);
});

test("http-api (3): an address in a request is not fetched for anybody: pictures, files and documents are refused unread (A-168)", async (t) => {
  const { hits, port } = await listener(t);
  const http = { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } };
  const { gateway, model } = await toolScene(t, {
    gateway: { mode: "local", bind: "loopback", auth: { mode: "token", token: gatewayToken }, http },
  });
  const url = `http://127.0.0.1:${port}/`;
  const image = { type: "input_image", image_url: url };
  const asked = (content: object[]) => ({
    model: "openclaw",
    input: [{ type: "message", role: "user", content }],
  });
  const chat = (content: object[]) => ({ model: "openclaw", messages: [{ role: "user", content }] });
  const headers = { authorization: `Bearer ${gatewayToken}`, "content-type": "application/json" };
  for (const [path, body] of [
    ["/v1/responses", asked(Array(1000).fill(image))],
    ["/v1/responses", asked([{ type: "input_file", file_url: "http://169.254.169.254/latest/meta-data/" }])],
    ["/v1/responses", asked([{ type: "input_file", file_url: url }])],
    ["/v1/chat/completions", chat([{ type: "image_url", image_url: { url } }])],
    ["/v1/chat/completions", chat([{ type: "image_url", image_url: { url: "http://10.0.0.1/" } }])],
    ["/v1/chat/completions", chat([{ type: "file", file: { file_url: url } }])],
  ] as const) {
    const { status } = await fetch(new URL(path, gateway.url), {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    assert.equal(status, 400, `${path} ${JSON.stringify(body).slice(0, 200)}`);
  }
  assert.deepEqual(hits, []);
  assert.equal(model.requests.length, 0);
  const plain = await fetch(new URL("/v1/chat/completions", gateway.url), {
    method: "POST",
    headers,
    body: JSON.stringify(chat([{ type: "text", text: url }])),
  });
  assert.equal(plain.status, 200);
  assert.deepEqual(hits, []);
});
