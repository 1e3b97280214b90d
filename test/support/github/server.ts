import { createHmac, generateKeyPairSync, verify } from "node:crypto";
import { type ApiAnswer, type ApiRequest, FakeApi } from "../fake-api.ts";

interface Delivery {
  readonly id: number;
  readonly guid: string;
  readonly event: string;
  readonly body: string;
  /** What the message must be known by. */
  readonly key: string;
  readonly redelivery: boolean;
  deliveredAtMs: number;
  /** 0: no answer. Undefined: not posted yet. */
  status: number | undefined;
}

export interface Comment {
  readonly id: number;
  /** "issues/1", "pulls/1/42", "discussions/1", "discussions/1/DC_7". */
  readonly on: string;
  readonly repository: string;
  readonly body: string;
  readonly createdAtMs: number;
}

export interface Person {
  readonly id: number;
  readonly login: string;
  readonly type?: string;
}

export interface Written {
  readonly from: Person;
  readonly text: string;
  readonly repository?: string;
  readonly number?: number;
  /** More of the comment's fields, and of the event's. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly event?: Readonly<Record<string, unknown>>;
}

const keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
/** Made once: a key takes its time. */
export const privateKeyPem = keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();

export const author: Person = { id: 7000001, login: "author", type: "User" };
const tokenForMs = 3_600_000;

/**
 * GitHub with one App (installed on one account), one user with a token, repositories with a webhook each, and people who
 * write: the REST API as far as it is called, GraphQL's two queries and one mutation, and webhooks with their log.
 */
export class FakeGithub {
  readonly api: FakeApi;
  readonly app = { id: 123456, slug: "house-bot", name: "House" };
  readonly user: Person = { id: 9000001, login: "house-user", type: "User" };
  readonly userToken = "github_pat_11TEST0000_secretTokenOfTheFakeServer";
  readonly webhookSecret = "webhook-secret-of-the-fake-server";
  readonly installationId = 555;
  readonly comments: Comment[] = [];
  /** Repositories that we may not write to. */
  readonly blocked = new Set<string>();
  /** Comments of discussions that stand below others: what GraphQL calls them, and where they are. */
  readonly replies = new Map<
    string,
    { readonly repository: string; readonly number: number; readonly top: string }
  >();
  readonly mintedTokens: string[] = [];
  readonly deliveries: Delivery[] = [];
  keyIsValid = true;
  tokenIsValid = true;
  mayReadHooks = true;
  pageSize = 100;
  /** Where events are posted to. */
  postTo = "";
  now: () => number = () => 1_700_000_000_000;
  readonly #live = new Map<string, { readonly repository: string; readonly endsAtMs: number }>();
  #count = 1000;
  #isPosting = false;
  #isClosed = false;

  private constructor() {
    this.api = new FakeApi((request) => this.#answer(request));
  }

  static async start(): Promise<FakeGithub> {
    const fake = new FakeGithub();
    await fake.api.listen(0);
    return fake;
  }

  /** As an Enterprise server's: GraphQL is beside "v3". */
  get apiRoot(): string {
    return `http://${this.api.host}/api/v3`;
  }

  get secrets(): readonly string[] {
    return [this.userToken, this.webhookSecret, privateKeyPem, ...this.mintedTokens];
  }

  iso(): string {
    return new Date(this.now()).toISOString().replace(".000", "");
  }

  nextId(): number {
    this.#count += 1;
    return this.#count;
  }

  /** A comment on an issue, as `issue_comment` posts it. */
  comment(written: Written): { readonly key: string; readonly body: object } {
    const id = this.nextId();
    const { repository = "House/Repo", number = 1, from } = written;
    const issue = {
      id: 50_000 + number,
      number,
      title: "A title",
      body: "What the issue says",
      user: author,
      author_association: "NONE",
      created_at: this.iso(),
    };
    const comment = {
      id,
      body: written.text,
      user: { type: "User", ...from },
      author_association: "MEMBER",
      created_at: this.iso(),
      performed_via_github_app: null,
      ...written.more,
    };
    const body = {
      action: "created",
      issue,
      comment,
      repository: { full_name: repository },
      sender: { type: "User", ...from },
      installation: { id: this.installationId },
      ...written.event,
    };
    return { key: `issue_comment/${id}`, body };
  }

  /** Somebody comments. Returns what the message must be known by. */
  write(written: Written): string {
    const { key, body } = this.comment(written);
    this.deliver("issue_comment", body, key);
    return key;
  }

  deliver(event: string, body: object, key: string): void {
    this.#offer({ event, body: JSON.stringify(body), key, guid: `guid-${this.nextId()}`, redelivery: false });
  }

  /** The same event once more, under the same delivery's id. */
  again(key: string): void {
    const first = this.deliveries.find((item) => item.key === key);
    if (!first) throw new Error(`${key} was never delivered`);
    this.#offer({ ...first, redelivery: true });
  }

  isTaken(key: string): boolean {
    return this.deliveries.some((item) => item.key === key && item.status === 200);
  }

  /** It was posted, and did not arrive. */
  firstTryFailed(key: string): boolean {
    const status = this.deliveries.find((item) => item.key === key)?.status;
    return status !== undefined && status !== 200;
  }

  taken(key: string): Promise<void> {
    return this.api.until(() => this.isTaken(key));
  }

  signed(body: string): Record<string, string> {
    const digest = createHmac("sha256", this.webhookSecret).update(body).digest("hex");
    return { "x-hub-signature-256": `sha256=${digest}`, "content-type": "application/json" };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.api.close();
  }

  #offer(delivery: Omit<Delivery, "id" | "deliveredAtMs" | "status">): void {
    this.deliveries.push({ ...delivery, id: this.nextId(), deliveredAtMs: this.now(), status: undefined });
    void this.#post();
  }

  /** Posts each delivery once, and notes what came of it: nothing is tried again unless somebody asks. */
  async #post(): Promise<void> {
    if (this.#isPosting) return;
    this.#isPosting = true;
    for (;;) {
      const next = this.deliveries.find((item) => item.status === undefined);
      if (!next || this.#isClosed) break;
      const headers = {
        ...this.signed(next.body),
        "x-github-event": next.event,
        "x-github-delivery": next.guid,
      };
      const status = await fetch(this.postTo, { method: "POST", body: next.body, headers }).then(
        (response) => response.status,
        () => 0,
      );
      next.status = status;
      this.api.changed();
    }
    this.#isPosting = false;
  }

  #answer(request: ApiRequest): ApiAnswer {
    const path = request.path.replace("/api/v3", "");
    const token = (request.headers.authorization ?? "").replace("Bearer ", "");
    if (!request.headers["user-agent"]) return no(403);
    if (path === "/app" || path.startsWith("/app/") || /^\/repos\/[^/]+\/[^/]+\/installation$/.test(path)) {
      return this.#isJwt(token) ? this.#asApp(request, path) : no(401);
    }
    const live = this.#live.get(token);
    const isUser = this.tokenIsValid && token === this.userToken;
    if (!isUser && !(live && live.endsAtMs > this.now())) return no(401);
    if (path === "/user") return isUser ? ok(this.user) : no(403);
    if (path === "/api/graphql") return this.#graphql(request);
    const [, repository = "", rest = ""] = /^\/repos\/([^/]+\/[^/]+)\/(.*)$/.exec(path) ?? [];
    if (live && live.repository !== repository) return no(404);
    if (rest === "hooks" || rest.startsWith("hooks/")) {
      if (!isUser || !this.mayReadHooks) return no(403);
      if (rest === "hooks") return ok([{ id: 77, active: true, config: { url: this.postTo } }]);
      return this.#log(request, rest.replace("hooks/77/", ""));
    }
    return this.#inRepository(request, repository, rest);
  }

  #asApp(request: ApiRequest, path: string): ApiAnswer {
    if (path === "/app") return ok(this.app);
    if (path.endsWith("/installation")) return ok({ id: this.installationId });
    if (path === `/app/installations/${this.installationId}/access_tokens`) {
      const [name] = request.json.repositories as string[];
      const token = `ghs_minted${this.nextId()}secret`;
      const endsAtMs = this.now() + tokenForMs;
      this.#live.set(token, { repository: `house/${name}`, endsAtMs });
      this.mintedTokens.push(token);
      return { status: 201, body: { token, expires_at: new Date(endsAtMs).toISOString() } };
    }
    return path.startsWith("/app/hook/") ? this.#log(request, path.replace("/app/hook/", "")) : no(404);
  }

  /** Nobody takes the tokens any more, before they end. */
  revokeMinted(): void {
    this.#live.clear();
  }

  #log(request: ApiRequest, path: string): ApiAnswer {
    const attempt = /^deliveries\/(\d+)\/attempts$/.exec(path);
    if (attempt && request.method === "POST") {
      const found = this.deliveries.find(({ id }) => id === Number(attempt[1]));
      if (!found) return no(404);
      this.#offer({ ...found, redelivery: true });
      return { status: 202, body: {} };
    }
    const all = this.deliveries.filter(({ status }) => status !== undefined).reverse();
    const from = Number(request.query.get("cursor") ?? 0);
    const page = all.slice(from, from + this.pageSize);
    const next = from + this.pageSize;
    const link = `<http://${this.api.host}${request.path}?per_page=100&cursor=${next}>; rel="next"`;
    return {
      status: 200,
      ...(next < all.length ? { headers: { link } } : {}),
      body: page.map(({ id, guid, event, redelivery, deliveredAtMs, status }) => ({
        id,
        guid,
        event,
        redelivery,
        delivered_at: new Date(deliveredAtMs).toISOString(),
        status_code: status,
      })),
    };
  }

  #inRepository(request: ApiRequest, repository: string, rest: string): ApiAnswer {
    if (this.blocked.has(repository)) return no(403);
    if (request.method === "POST") {
      const issue = /^issues\/(\d+)\/comments$/.exec(rest);
      const review = /^pulls\/(\d+)\/comments\/(\d+)\/replies$/.exec(rest);
      const on = issue ? `issues/${issue[1]}` : review ? `pulls/${review[1]}/${review[2]}` : undefined;
      if (on === undefined) return no(404);
      return { status: 201, body: { id: this.#said(repository, on, request.json.body) } };
    }
    const [, of, number] = /^(issues|pulls)\/(\d+)\/comments$/.exec(rest) ?? [];
    const since = Date.parse(request.query.get("since") ?? "");
    const found = this.comments.filter(
      (item) =>
        item.repository === repository &&
        `${item.on}/`.startsWith(`${of}/${number}/`) &&
        item.createdAtMs >= since,
    );
    return ok(found.map(({ id, body }) => ({ id, body })));
  }

  #graphql(request: ApiRequest): ApiAnswer {
    const { query, variables } = request.json as {
      query: string;
      variables: Readonly<Record<string, unknown>>;
    };
    if (query.startsWith("mutation")) {
      const [repository = "", number] = String(variables.discussionId).replace("D_", "").split("#");
      if (this.blocked.has(repository)) return ok({ data: null, errors: [{ type: "FORBIDDEN" }] });
      const { replyToId } = variables;
      // A variable that the mutation does not use is none to GitHub.
      const isReply = typeof replyToId === "string" && query.includes("replyToId: $replyToId");
      const on = `discussions/${number}${isReply ? `/${replyToId}` : ""}`;
      const databaseId = this.#said(repository, on, variables.body);
      return ok({ data: { addDiscussionComment: { comment: { databaseId } } } });
    }
    if ("id" in variables) return ok({ data: { node: this.#reply(String(variables.id)) } });
    const { owner, name, number } = variables;
    const repository = `${String(owner)}/${String(name)}`;
    if (number === 404) {
      return ok({ data: { repository: { discussion: null } }, errors: [{ type: "NOT_FOUND" }] });
    }
    const nodes = this.comments
      .filter((item) => item.repository === repository && item.on === `discussions/${String(number)}`)
      .map(({ body }) => ({ body }));
    const comments = { totalCount: nodes.length, nodes: nodes.slice(-100) };
    return ok({
      data: { repository: { discussion: { id: `D_${repository}#${String(number)}`, comments } } },
    });
  }

  #reply(id: string): object | null {
    const found = this.replies.get(id);
    if (!found) return null;
    const { repository, number, top } = found;
    const nodes = this.comments
      .filter((item) => item.repository === repository && item.on === `discussions/${number}/${top}`)
      .map(({ body }) => ({ body }));
    return {
      // As its owner writes it.
      discussion: {
        id: `D_${repository}#${number}`,
        number,
        repository: { nameWithOwner: repository.replace(/^./, (letter) => letter.toUpperCase()) },
      },
      replyTo: { id: top, replies: { totalCount: nodes.length, nodes: nodes.slice(-100) } },
    };
  }

  #said(repository: string, on: string, body: unknown): number {
    const id = this.nextId();
    this.comments.push({ id, on, repository, body: String(body), createdAtMs: this.now() });
    return id;
  }

  #isJwt(token: string): boolean {
    const [head = "", claims = "", signature = ""] = token.split(".");
    const signed = Buffer.from(`${head}.${claims}`);
    if (!this.keyIsValid || !verify("sha256", signed, keys.publicKey, Buffer.from(signature, "base64url"))) {
      return false;
    }
    const { iat, exp, iss } = JSON.parse(Buffer.from(claims, "base64url").toString()) as Record<
      string,
      number
    >;
    const nowS = this.now() / 1000;
    return String(iss) === String(this.app.id) && iat! <= nowS && exp! > nowS && exp! - iat! <= 600;
  }
}

function ok(body: unknown): ApiAnswer {
  return { status: 200, body };
}

function no(status: number): ApiAnswer {
  return { status, body: { message: "No", documentation_url: "https://docs.github.com" } };
}

/** A text of ours as people see it: without its mark, and without what is invisible. */
export function seen(body: string): string {
  return body.replace(/^<!--[^\n]*-->\n/, "").replaceAll("\u2060", "");
}
