import { define } from "./define.ts";
export const onboardCommand = define({
  help: { usage: "onboard", about: "", example: "" },
  offline: true,
  run: async () => 0,
});
