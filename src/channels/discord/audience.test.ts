import assert from "node:assert/strict";
import { test } from "node:test";
import { canView } from "./audience.ts";

const guildId = "500000000000000001";
const ada = "100000000000000042";
const [red, blue] = ["700000000000000001", "700000000000000002"];
const view = String(1n << 10n);
const admin = String(1n << 3n);

interface Words {
  readonly everybody?: string;
  readonly red?: string;
  readonly roles?: readonly string[];
  readonly owner?: string;
  readonly overwrites?: readonly (readonly [id: string, type: number, allow?: string, deny?: string])[];
}

function may({
  everybody = "0",
  red: redMay = "0",
  roles = [],
  owner = "1",
  overwrites = [],
}: Words): boolean {
  return canView(ada, {
    guild: {
      id: guildId,
      owner_id: owner,
      roles: [
        { id: guildId, permissions: everybody },
        { id: red, permissions: redMay },
      ],
    },
    channel: {
      id: "200000000000000001",
      permission_overwrites: overwrites.map(([id, type, allow = "0", deny = "0"]) => ({
        ...{ id, type, allow, deny },
      })),
    },
    member: { roles },
  });
}

test("who can view a channel is decided as Discord documents it: roles, then everybody's, roles' and the member's words", () => {
  const closed = [guildId, 0, "0", view] as const;
  const rows: readonly (readonly [boolean, Words])[] = [
    [false, {}],
    [true, { everybody: view }],
    [true, { owner: ada }],
    [false, { red: view }],
    [true, { red: view, roles: [red] }],
    [true, { red: admin, roles: [red], overwrites: [closed] }],
    [false, { everybody: admin.replace("8", "16") }],
    [false, { everybody: view, overwrites: [closed] }],
    [true, { everybody: view, roles: [red], overwrites: [closed, [red, 0, view]] }],
    [false, { everybody: view, overwrites: [closed, [red, 0, view]] }],
    [false, { everybody: view, roles: [red], overwrites: [[red, 0, "0", view]] }],
    [
      true,
      {
        everybody: view,
        roles: [red, blue],
        overwrites: [
          [blue, 0, view],
          [red, 0, "0", view],
        ],
      },
    ],
    [
      false,
      {
        everybody: view,
        roles: [red],
        overwrites: [
          [red, 0, view],
          [ada, 1, "0", view],
        ],
      },
    ],
    [true, { overwrites: [[ada, 1, view]] }],
    [false, { overwrites: [[ada, 0, view]] }],
    [false, { overwrites: [["100000000000000043", 1, view]] }],
    // What is no number opens nothing.
    [false, { everybody: "all" }],
    [false, { overwrites: [[ada, 1, "-1"]] }],
    [false, { everybody: view, overwrites: [[ada, 1, "0", "everything"]] }],
  ];
  for (const [expected, words] of rows) assert.equal(may(words), expected, JSON.stringify(words));
});

test("a server, a channel or a member that says nothing opens nothing", () => {
  assert.equal(canView(ada, { guild: {}, channel: { id: "1" }, member: {} }), false);
});
