const paths = {
  plus: "M8 3v10M3 8h10",
  menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11",
  send: "M8 13V3.500M3.800 7.500 8 3.300l4.200 4.200",
  stop: "M4.500 4.500h7v7h-7z",
  close: "M4 4l8 8M12 4l-8 8",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  shield:
    "M8 1.800 13 3.600v4c0 3.200-2.100 5.400-5 6.600-2.900-1.200-5-3.400-5-6.600v-4zM5.800 8l1.600 1.600L10.400 6.400",
  person:
    "M8 8a2.700 2.700 0 1 0 0-5.400A2.700 2.700 0 0 0 8 8zM2.800 13.800c.5-2.600 2.500-4 5.200-4s4.700 1.400 5.200 4",
  key: "M5.500 12.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5zM7.300 8.200 13 2.500M11 4.500l2 2",
  pulse: "M1.500 8h3l1.800-4.500 3 9L11.200 8h3.300",
  sun: "M8 10.800a2.800 2.800 0 1 0 0-5.600 2.800 2.800 0 0 0 0 5.600zM8 1.500v1.300M8 13.200v1.300M1.500 8h1.300M13.200 8h1.300M3.400 3.400l.9.9M11.700 11.700l.9.9M3.400 12.600l.9-.9M11.700 4.300l.9-.9",
  moon: "M13.500 9.300A5.800 5.800 0 0 1 6.700 2.500a5.800 5.800 0 1 0 6.800 6.800z",
  leave: "M6.500 2.500h-3a1 1 0 0 0-1 1v9a1 1 0 0 0 1 1h3M10.500 11 13.500 8l-3-3M13.500 8h-7",
  keys: "M2 4.500h12v7H2zM4.500 7h.01M7 7h.01M9.500 7h.01M11.500 7h.01M5.500 9.300h5",
  terminal: "M2.500 4.500 6 8l-3.500 3.500M8 11.500h5.500",
  tool: "M9.700 6.300 13.500 2.500M10.500 2.200a3.300 3.300 0 0 0-4.300 4.300L2.300 10.400a1.500 1.500 0 0 0 0 2.100l1.200 1.200a1.500 1.500 0 0 0 2.100 0l3.900-3.900a3.300 3.300 0 0 0 4.300-4.300",
  down: "M8 3v9.500M4 8.800l4 4 4-4",
  copy: "M5.500 5.500v-3h8v8h-3M2.500 5.500h8v8h-8z",
  alert: "M8 2 14.300 13H1.700zM8 6.500v3M8 11.300h.01",
} as const;

export type IconName = keyof typeof paths;

/** Always beside words or inside a named button, so it is hidden from screen readers. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="9" />
      <path d="M9 22c-1.600-5.600.4-11.200 4.600-13.400M16 23.500c-1.100-5 .2-9.800 3.200-12.800M23 22.500c-.6-3.500 0-6.500 1.400-8.900" />
    </svg>
  );
}
