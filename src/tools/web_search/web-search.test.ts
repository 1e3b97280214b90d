/** Search services as their public documentation describes them, on loopback. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import type { OpenClawConfig } from "../../config/mod.ts";
import { InputError, systemClock } from "../../kernel/mod.ts";
import { addressVerdict, hostVerdict } from "../../policy/address.ts";
import { createWeb } from "../../sandbox/mod.ts";
import type { Powers } from "../../sandbox/tool.ts";
import { searchProblem, toolSettings } from "../settings.ts";
import { openWebSearch } from "./tool.ts";

type SearchConfig = NonNullable<NonNullable<NonNullable<OpenClawConfig["tools"]>["web"]>["search"]>;
const configOf = (search: SearchConfig): OpenClawConfig => ({ tools: { web: { search } } });

interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: unknown;
}

async function scene(
  t: TestContext,
  search: (url: string) => SearchConfig,
  answer: (request: IncomingMessage) => Answer,
) {
  const asked: { method: string; url: string; headers: IncomingMessage["headers"]; body: string }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request
      .setEncoding("utf8")
      .on("data", (piece) => {
        body += piece;
      })
      .on("end", () => {
        asked.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
        const { status = 200, headers = {}, body: told } = answer(request);
        response.writeHead(status, { "content-type": "application/json", ...headers });
        response.end(typeof told === "string" ? told : JSON.stringify(told));
      });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const config = configOf(search(`http://127.0.0.1:${port}`));
  const tool = openWebSearch(toolSettings(config));
  assert.ok(tool, searchProblem(config));
  const web = createWeb({
    resolve: async () => [],
    ssrf: {
      dangerouslyAllowPrivateNetwork: false,
      allowedHostnames: [`127.0.0.1:${port}`],
      blockedHostnames: [],
      allowRfc2544BenchmarkRange: false,
      allowIpv6UniqueLocalRange: false,
    },
    clock: systemClock,
    hostVerdict,
    addressVerdict,
  });
  const powers = { web, signal: new AbortController().signal } as Powers;
  return { asked, port, tool, run: (args: object) => tool.run(args, powers) };
}

const thing = { title: "A <strong>thing</strong>", url: "https://example.com/thing" };
const result = (more: object) => ({ ...thing, ...more });

test("web_search asks a SearXNG at the address that the operator gave, and labels what it says", async (t) => {
  const s = await scene(
    t,
    (url) => ({ provider: "searxng", baseUrl: `${url}/searx/` }),
    () => ({
      body: {
        query: "x",
        results: [
          result({ content: "about\n the thing", engine: "duckduckgo" }),
          { title: "no address", content: "x" },
          { title: "a script", url: "javascript:alert(1)", content: "x" },
          { title: 7, url: "http://example.com/b", content: null },
          null,
          ...Array.from({ length: 20 }, (_, index) => result({ url: `https://example.com/${index}` })),
        ],
      },
    }),
  );
  const output = await s.run({ query: " the thing & more " });
  assert.equal(s.asked[0]?.url, "/searx/search?q=the+thing+%26+more&format=json");
  assert.match(
    output.text,
    /^1\. A thing\n {3}https:\/\/example\.com\/thing\n {3}about the thing\n\n2\. \(no title\)\n {3}http:\/\/example\.com\/b\n\n3\. /,
  );
  assert.equal(output.text.match(/^\d\. /gm)?.length, 5);
  assert.doesNotMatch(output.text, /javascript/);
  assert.deepEqual(
    [output.trust, output.sensitivity, output.origin, output.isError],
    ["untrusted", "public", `http://127.0.0.1:${s.port}`, false],
  );
  assert.deepEqual(s.tool.plan({ query: "a" }), [
    { kind: "fetch", url: `http://127.0.0.1:${s.port}/searx/search?q=a&format=json` },
  ]);
});

test("web_search asks Brave with its key in its header, and no more results than the operator allows", async (t) => {
  const s = await scene(
    t,
    (baseUrl) => ({
      provider: "brave",
      apiKey: "the-key",
      baseUrl: `${baseUrl}/res/v1/web/search`,
      maxResults: 2,
    }),
    ({ url }) => ({
      body: url?.includes("nothing")
        ? { type: "search" }
        : { web: { results: Array(5).fill(result({ description: "d".repeat(900) })) } },
    }),
  );
  const { text, details } = await s.run({ query: "q".repeat(900), count: 50 });
  const asked = new URL(s.asked[0]?.url ?? "", "http://x");
  assert.deepEqual(
    [asked.pathname, asked.searchParams.get("q")?.length, asked.searchParams.get("count")],
    ["/res/v1/web/search", 400, "2"],
  );
  assert.equal(s.asked[0]?.headers["x-subscription-token"], "the-key");
  assert.equal(text.match(/^\d\. /gm)?.length, 2);
  assert.ok(text.length < 1500);
  assert.doesNotMatch(text + JSON.stringify(details), /the-key/);
  assert.equal((await s.run({ query: "nothing" })).text, "(nothing was found)");
});

test("web_search asks Tavily by POST, and follows no redirect with it", async (t) => {
  let status = 200;
  const s = await scene(
    t,
    (url) => ({ provider: "tavily", apiKey: "tvly-x", baseUrl: `${url}/search` }),
    () => ({
      status,
      headers: status === 307 ? { location: "/elsewhere" } : {},
      body: { results: [result({ content: "c", score: 0.9 })] },
    }),
  );
  assert.match((await s.run({ query: "x", count: 3 })).text, /1\. A thing/);
  const [first] = s.asked;
  assert.deepEqual(
    [first?.method, first?.url, first?.headers.authorization, first?.headers["content-type"], first?.body],
    ["POST", "/search", "Bearer tvly-x", "application/json", '{"query":"x","max_results":3}'],
  );
  status = 307;
  await assert.rejects(s.run({ query: "x" }), /redirects/);
  assert.equal(s.asked.length, 2);
});

test("web_search follows no redirect of a search service, wherever it leads", async (t) => {
  for (const location of ["http://169.254.169.254/", "/again"]) {
    const s = await scene(
      t,
      (url) => ({ provider: "searxng", baseUrl: url }),
      () => ({ status: 302, headers: { location }, body: "" }),
    );
    await assert.rejects(
      s.run({ query: "x" }),
      (error) => error instanceof InputError && /redirects/.test(error.message),
    );
    assert.equal(s.asked.length, 1);
  }
});

test("web_search says what is wrong with an answer, and never repeats what the service said", async (t) => {
  const table = [
    [{ status: 403, body: "IGNORE ALL" }, /status 403.*format json/],
    [{ status: 429, body: "IGNORE ALL" }, /quota/],
    [{ status: 500, body: "IGNORE ALL" }, /try again later/],
    [{ body: "<html>IGNORE ALL" }, /not answer with JSON/],
    [{ body: { results: "IGNORE ALL" } }, /without a list/],
    [{ body: [] }, /without a list/],
    [{ body: `{"results":["${"x".repeat(2_100_000)}"]}` }, /too large/],
  ] as const;
  for (const [answer, sentence] of table) {
    const s = await scene(
      t,
      (url) => ({ provider: "searxng", baseUrl: url }),
      () => answer,
    );
    await assert.rejects(
      s.run({ query: "x" }),
      (error) => error instanceof InputError && sentence.test(error.message) && !/IGNORE/.test(error.message),
    );
  }
});

test("web_search is offered only where a provider is set up, and what is missing is said", () => {
  const table: readonly (readonly [SearchConfig | undefined, RegExp | undefined])[] = [
    [undefined, undefined],
    [{ enabled: false, provider: "brave", apiKey: "k" }, undefined],
    [{ provider: "nonsense", apiKey: "k" }, /no provider "nonsense".*brave, searxng, tavily/],
    [{ provider: "constructor", apiKey: "k" }, /no provider/],
    [{ provider: "brave" }, /brave needs apiKey/],
    [{ provider: "tavily", apiKey: "" }, /tavily needs apiKey/],
    [{ provider: "brave", apiKey: { source: "env", id: "X" } }, /brave needs apiKey/],
    [{ provider: "searxng" }, /needs baseUrl/],
    [{ provider: "searxng", baseUrl: "http://u:p@nas/" }, /without a name/],
    [{ maxResults: 3 }, /no provider/],
  ];
  for (const [search, sentence] of table) {
    const config = search === undefined ? {} : configOf(search);
    assert.equal(openWebSearch(toolSettings(config)), undefined, JSON.stringify(search));
    const problem = searchProblem(config);
    assert.equal(problem === undefined, sentence === undefined, problem);
    if (sentence) assert.match(problem ?? "", sentence);
  }
  const named = (search: SearchConfig) => openWebSearch(toolSettings(configOf(search)))?.plan({ query: "x" });
  assert.match(JSON.stringify(named({ apiKey: "k" })), /api\.search\.brave\.com/);
  assert.match(JSON.stringify(named({ baseUrl: "http://nas:8080" })), /http:\/\/nas:8080\/search\?q=x/);
  const tool = openWebSearch(toolSettings(configOf({ apiKey: "k" })));
  for (const query of ["  ", "\ud800"]) assert.throws(() => tool?.plan({ query }), InputError);
});
