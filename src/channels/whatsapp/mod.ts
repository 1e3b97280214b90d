/**
 * WhatsApp, as a linked device, by the library Baileys behind a port of ours (library.ts). Holds the invariants of
 * channels/mod.ts; those that are WhatsApp's own:
 *
 * 1. WhatsApp delivers once: what the library hands over is on our disk before the gateway hears of it (arrivals.ts).
 * 2. A sender is a number, or a hidden id that becomes a number only where WhatsApp's server names it beside.
 * 3. The device's keys are 600, never half written, and never replaced because they could not be read.
 * 4. The code to link a device is shown, never logged.
 * 5. A message of ours counts as sent when WhatsApp's server says that it has it.
 * 6. One in doubt counts as sent when a receipt for its id comes from its chat, and never as absent.
 */
export { openWhatsApp } from "./channel.ts";
