import assert from "node:assert/strict";
import type { Wire } from "../support/model-servers/mod.ts";

/** What each real service refuses a request for; throws when one of it is there. */
// biome-ignore lint/suspicious/noExplicitAny: a request body, looked into at will
export function checkConversation(wire: Wire, body: any): void {
  assert.equal(body.tools, undefined);
  if (wire === "openai-responses") {
    const waiting = new Set<string>();
    for (const item of body.input) {
      if (item.type === "function_call") waiting.add(item.call_id);
      else if (item.type === "function_call_output") {
        assert.ok(waiting.delete(item.call_id));
        assert.notEqual(item.output, "");
      } else {
        assert.equal(waiting.size, 0);
        assert.notEqual(item.content.length, 0);
      }
    }
    assert.equal(waiting.size, 0);
    assert.equal(body.instructions, undefined);
    return;
  }
  if (wire === "openai-completions") {
    let waiting: string[] = [];
    assert.equal(body.messages[0].role, "user");
    for (const message of body.messages) {
      if (message.role === "tool") {
        assert.equal(waiting.shift(), message.tool_call_id);
        assert.notEqual(message.content, "");
        continue;
      }
      assert.equal(waiting.length, 0);
      // biome-ignore lint/suspicious/noExplicitAny: as above
      waiting = (message.tool_calls ?? []).map((call: any) => call.id);
      assert.ok(waiting.length > 0 || message.content.length > 0);
    }
    assert.equal(waiting.length, 0);
    return;
  }
  assert.equal(body.system, undefined);
  const waiting: string[] = [];
  const used = new Set<string>();
  for (const [at, message] of body.messages.entries()) {
    assert.equal(message.role, at % 2 === 0 ? "user" : "assistant");
    assert.notEqual(message.content.length, 0);
    for (const block of message.content) {
      if (block.type === "text") assert.notEqual(block.text.trim(), "");
      if (block.type === "tool_result") assert.equal(waiting.shift(), block.tool_use_id);
      else if (message.role === "user") assert.equal(waiting.length, 0);
    }
    assert.equal(waiting.length, 0);
    for (const block of message.content) {
      if (block.type !== "tool_use") continue;
      assert.match(block.id, /^[a-zA-Z0-9_-]+$/);
      assert.ok(!used.has(block.id));
      used.add(block.id);
      waiting.push(block.id);
    }
  }
  assert.equal(waiting.length, 0);
}
