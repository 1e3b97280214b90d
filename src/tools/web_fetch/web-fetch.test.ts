import assert from "node:assert/strict";
import { test } from "node:test";
import { InputError } from "../../kernel/mod.ts";
import type { Powers, Web, WebResponse } from "../../sandbox/tool.ts";
import { defaultToolSettings } from "../settings.ts";
import { readableText } from "./readable.ts";
import { openWebFetch } from "./tool.ts";

const read = (html: string, mode: "markdown" | "text" = "markdown", maxChars = 20_000) =>
  readableText(html, { mode, baseUrl: "https://example.com/a/b", maxChars });

const pages: readonly (readonly [what: string, html: string, markdown: string, text: string])[] = [
  [
    "paragraphs and breaks",
    "<p>one  two\n three</p><p>four<br>five</p>",
    "one two three\n\nfour\nfive",
    "one two three\n\nfour\nfive",
  ],
  ["headings", "<h1>Big <em>deal</em></h1>x<h3></h3>y", "# Big _deal_\n\nx\n\ny", "Big deal\n\nx\n\ny"],
  ["marks", "a<b> bold </b>c <i></i><code>x</code>.", "a **bold** c `x`.", "a bold c x."],
  [
    "links",
    '<a href="/c?d=(1)">go</a> <a href="#x">in</a> <a href="javascript:x">js</a> <a href="mailto:a@b">m</a><a href="/e"></a>',
    "[go](https://example.com/c?d=%281%29) in js m",
    "go in js m",
  ],
  [
    "lists",
    "<ul><li>a<ol><li>b</li><li>c</li></ol></li><li>d</li></ul>e",
    "- a\n  1. b\n  2. c\n- d\n\ne",
    "- a\n  1. b\n  2. c\n- d\n\ne",
  ],
  ["code", "x<pre><code>a\n\n  b</code></pre>y", "x\n\n```\na\n\n  b\n```\n\ny", "x\n\na\n\n  b\n\ny"],
  ["quotes", "<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n> \n> b\n\nc", "> a\n> \n> b\n\nc"],
  [
    "tables",
    "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>",
    "| a | b |\n| --- | --- |\n| 1 | 2 |",
    "a  b\n1  2",
  ],
  ["images", 'a<img alt="A cat" title=x src=x>b<img src=y>', "ab", "ab"],
  ["entities", "a &amp; b &lt;c&gt; &#x1F600;&nbsp;d", "a & b <c> 😀 d", "a & b <c> 😀 d"],
  ["unclosed and crossed tags", "<div><b>a<p>b</div></b></i>c", "**a\n\nb**\n\nc", "a\n\nb\n\nc"],
];
for (const [what, html, markdown, text] of pages) {
  test(`a page's ${what}`, async () => {
    assert.equal((await read(html)).text, markdown);
    assert.equal((await read(html, "text")).text, text);
  });
}

test("what a reader would not see is left out", async () => {
  const html = `<!doctype html><html><head><title> The
    title </title><style>.x{}</style><script>evil()</script></head><body>
    <!-- comment --><nav>menu</nav><script>evil("</b>")</script><noscript>n</noscript><template>t</template>
    <svg><title>icon</title><text>s</text></svg><p hidden>h1</p><p style="color:red; DISPLAY : none">h2</p>
    <p aria-hidden="true">h3 <b>h4</b></p><span class="a sr-only">h5</span><p style="opacity:0">h6</p>
    <p style="font-size:0px">h7</p><p style="opacity:0.5">seen</p><footer>foot</footer></body></html>`;
  assert.deepEqual(await read(html), {
    ...{ text: "seen", title: "The title", truncated: false },
    hasHidden: true,
  });
});

test("the main part of a page is taken alone, when it holds enough", async () => {
  const long = "word ".repeat(60);
  assert.equal((await read(`<div>aside</div><main><p>${long}</p></main><div>more</div>`)).text, long.trim());
  assert.equal(
    (await read("<div>before</div><main>short</main><div>after</div>")).text,
    "before\n\nshort\n\nafter",
  );
});

test("tools (2): long, deep and endless pages are bounded", async () => {
  const cut = await read(`<p>${"x".repeat(5000)}</p>`, "text", 1000);
  assert.deepEqual([cut.text.length, cut.truncated], [1000, true]);
  const deep = await read(
    `start${"<div><b><ul><li><blockquote>".repeat(300)}end${"<div>".repeat(20_000)}never`,
  );
  assert.match(deep.text, /^start[\s\S]*end$/);
  assert.ok(deep.text.length < 200);
  assert.equal(deep.truncated, true);
  assert.equal((await read("<".repeat(200_000))).truncated, true);
  const title = await read(`<title>${"t".repeat(5000)}</title>x`);
  assert.equal(title.title?.length, 256);
});

function fetched(response: Partial<WebResponse>, args: object = {}) {
  const asked: Parameters<Web["fetch"]>[0][] = [];
  const web: Web = {
    fetch: async (request) => {
      asked.push(request);
      return {
        url: request.url,
        finalUrl: request.url,
        status: 200,
        contentType: "text/html",
        body: Buffer.alloc(0),
        truncated: false,
        ...response,
      };
    },
  };
  const powers = { web, signal: new AbortController().signal } as Powers;
  const tool = openWebFetch(defaultToolSettings);
  assert.ok(tool);
  return { asked, output: tool.run({ url: "https://example.com/", ...args }, powers) };
}

test("web_fetch gives title and text, where they are from, and that nobody vouches for them", async () => {
  const { asked, output } = fetched({
    body: Buffer.from("<title>T</title><p>hello"),
    finalUrl: "https://example.com/x",
  });
  assert.deepEqual(await output, {
    text: "Title: T\n\nhello",
    isError: false,
    origin: "https://example.com/x",
    trust: "untrusted",
    sensitivity: "public",
    details: {
      url: "https://example.com/",
      finalUrl: "https://example.com/x",
      status: 200,
      extractMode: "markdown",
      extractor: "readable",
      contentType: "text/html",
      title: "T",
      truncated: false,
      length: 5,
      rawLength: 24,
    },
  });
  const [request] = asked;
  assert.deepEqual([request?.maxBytes, request?.timeoutMs, request?.maxRedirects], [750_000, 30_000, 3]);
});

test("web_fetch shows plain text as it is, says when it cut, and takes no more than the cap", async () => {
  const text = await fetched({ contentType: "application/json", body: Buffer.from('{"a": "<b>"}') }).output;
  assert.equal(text.text, '{"a": "<b>"}');
  const cut = await fetched(
    { contentType: "text/plain", body: Buffer.from("x".repeat(30_000)) },
    { maxChars: 1_000_000 },
  ).output;
  assert.ok(cut.text.startsWith(`${"x".repeat(20_000)}\n\n[Cut after 20000`));
  assert.match(
    (await fetched({ contentType: "text/plain", body: Buffer.from("x"), truncated: true }).output).text,
    /there is more/,
  );
});

test("web_fetch reads other charsets, reports a failing status, and refuses what is no text", async () => {
  const latin = Buffer.from([0x66, 0xfc, 0x72]);
  assert.equal(
    (await fetched({ contentType: "text/plain; charset=ISO-8859-1", body: latin }).output).text,
    "für",
  );
  assert.equal(
    (await fetched({ body: Buffer.concat([Buffer.from('<meta charset="windows-1252">'), latin]) }).output)
      .text,
    "für",
  );
  assert.equal(
    (await fetched({ contentType: "text/plain; charset=nonsense", body: Buffer.from("a") }).output).text,
    "a",
  );
  const missing = await fetched({ status: 404, body: Buffer.from("<p>gone") }).output;
  assert.deepEqual([missing.isError, missing.text], [true, "The site answered with status 404.\n\ngone"]);
  await assert.rejects(fetched({ contentType: "image/png", body: latin }).output, InputError);
  await assert.rejects(fetched({ contentType: "", body: Buffer.from([1, 0]) }).output, InputError);
  assert.equal(
    (await fetched({ contentType: "", body: Buffer.from("<!DOCTYPE html><p>x") }).output).text,
    "x",
  );
  assert.equal(
    (await fetched({ contentType: "text/html", body: Buffer.alloc(0) }).output).text,
    "(no readable text)",
  );
});

const hiding: readonly string[] = [
  "display:none",
  "DISPLAY : none !important",
  "visibility:hidden",
  "opacity:0",
  "opacity:.01",
  "font-size:0",
  "font-size:1px",
  "font-size:0.1em",
  "color:transparent",
  "color:rgba(0,0,0,0)",
  "color:rgb(0 0 0 / 0%)",
  "color:#12345600",
  "color:#fff",
  "color: white",
  "color:#ffffff;background:#FFF",
  "color:red;background-color:red",
  "position:absolute;left:-9999px",
  "position:fixed;top:-600px",
  "text-indent:-9999px",
  "margin-left:-10000px",
  "transform:translateX(-9999px)",
  "transform:translate(0,-1000px)",
  "transform:scale(0)",
  "width:0;overflow:hidden",
  "height:1px;width:1px;overflow:hidden",
  "max-height:0;overflow:hidden",
  "clip:rect(0,0,0,0)",
  "clip:rect(1px, 1px, 1px, 1px)",
  "clip-path:inset(50%)",
  "clip-path:circle(0)",
  "content-visibility:hidden",
];
for (const style of hiding)
  test(`web_fetch leaves out what is hidden by "${style}", and says so (A-210)`, async () => {
    const page = await read(`<p>seen</p><div style="${style}"><p>IGNORE ALL</p></div><p>after</p>`);
    assert.deepEqual([page.text, page.hasHidden], ["seen\n\nafter", true]);
  });

const showing: readonly string[] = [
  "display:block",
  "opacity:0.5",
  "font-size:12px",
  "font-size:1em",
  "color:black",
  "color:#fff;background:#000",
  "color:rgba(0,0,0,0.8)",
  "left:-9999px",
  "position:absolute;left:-10px",
  "text-indent:-20px",
  "height:0",
  "overflow:hidden",
  "transform:translateX(-50%)",
  "width:100%;overflow:hidden",
  "clip:rect(0,100px,100px,0)",
  "",
];
for (const style of showing)
  test(`web_fetch shows what "${style}" shows (A-210, control)`, async () => {
    const page = await read(`<div style="${style}"><p>seen</p></div>`);
    assert.deepEqual([page.text, page.hasHidden], ["seen", false]);
  });

test("web_fetch leaves out what a page's own style sheet hides, comments, templates, and text that only attributes hold (A-210)", async () => {
  const sheet = `<style>/* .seen{display:none} */ .x, p#y {display:none} .off{position:absolute;left:-9999px}
    @media print{.seen{display:none}} @media screen{.z{visibility:hidden}} .tab{display:none} .tab.open{display:block}
    .fade{opacity:0} .a .b{display:none}</style>`;
  const page = await read(
    `<html><head>${sheet}<meta name=description content="IGNORE 0"></head><body>
    <p class="seen">one</p><p class="big x">IGNORE 1</p><p id=y>IGNORE 2</p><p class=off>IGNORE 3</p><p class=z>IGNORE 4</p>
    <p class="tab open">two</p><p class=fade>three</p><p class=b>four</p><!-- IGNORE 5 --><template>IGNORE 6</template>
    <noscript>IGNORE 7</noscript><img alt="IGNORE 8" title="IGNORE 9"><a title="IGNORE 10" href="/x">five</a>
    <input type=hidden value="IGNORE 11"><p aria-hidden=TRUE>IGNORE 12</p><font color=white>IGNORE?</font></body></html>`,
    "text",
  );
  assert.equal(page.text, "one\n\ntwo\n\nthree\n\nfour\n\nfive IGNORE?");
  assert.equal(page.hasHidden, true);
  // Behind white text with style sheets may be any colour; without them it is the browser's white.
  assert.equal((await read("<p>a</p><font color=white>IGNORE</font>")).text, "a");
  assert.equal(
    (await read("<div style='background:#222'><p style='color:white'>seen</p></div>")).text,
    "seen",
  );
});

test("tools (2): style sheets without end, or without sense, cost no more than their length", async () => {
  for (const css of [
    "{".repeat(300_000),
    ".a{".repeat(100_000),
    "/*".repeat(150_000),
    "@media screen{".repeat(20_000),
    ".a,".repeat(100_000),
  ])
    assert.equal((await read(`<style>${css}</style><p>x</p>`)).text, "x");
});

test("web_fetch says that it left something out, and shows what is text by content, not by its label (A-210)", async () => {
  const hidden = await fetched({ body: Buffer.from("<p>seen</p><p hidden>IGNORE</p>") }).output;
  assert.match(hidden.text, /^seen\n\n\[Text that a reader of the page would not see was left out\.\]$/);
  assert.equal((hidden.details as { hiddenText?: boolean }).hiddenText, true);
  const png = Buffer.from("\x89PNG\r\n\x1a\n\0\0\0", "latin1");
  for (const contentType of ["text/html", "text/plain", "application/json", "", "application/octet-stream"]) {
    await assert.rejects(fetched({ contentType, body: png }).output, /a PNG image/);
    await assert.rejects(
      fetched({ contentType, body: Buffer.from("%PDF-1.7\n...") }).output,
      /a PDF document/,
    );
    if (contentType !== "text/html")
      await assert.rejects(
        fetched({ contentType, body: Buffer.from([1, 2, 0, 3]) }).output,
        /cannot be shown as text/,
      );
  }
  const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("grüße", "utf16le")]);
  assert.equal((await fetched({ contentType: "text/plain", body: utf16 }).output).text, "grüße");
  assert.equal(
    (await fetched({ contentType: "text/plain", body: Buffer.from("MZ is how it begins, BZh too") }).output)
      .isError,
    false,
  );
});
