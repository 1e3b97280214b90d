/** Runs in the page: the texts that are hard to read, each with its contrast (WCAG 2.2, 1.4.3). */
export function lowContrast(): string[] {
  type Color = readonly [red: number, green: number, blue: number, alpha: number];
  const parse = (css: string): Color => {
    const numbers = (css.match(/[\d.]+(?:e-?\d+)?/g) ?? []).map(Number);
    const scale = css.startsWith("color(") ? 255 : 1;
    const [red = 0, green = 0, blue = 0, alpha = 1] = numbers;
    return [red * scale, green * scale, blue * scale, alpha];
  };
  const over = (top: Color, below: Color): Color => {
    const mix = (index: 0 | 1 | 2) => top[index] * top[3] + below[index] * (1 - top[3]);
    return [mix(0), mix(1), mix(2), 1];
  };
  const ground = (element: Element | null): Color => {
    if (!element) return [255, 255, 255, 1];
    const own = parse(getComputedStyle(element).backgroundColor);
    return own[3] === 1 ? own : over(own, ground(element.parentElement));
  };
  const luminance = ([red, green, blue]: Color) => {
    const [r = 0, g = 0, b = 0] = [red, green, blue].map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const poor: string[] = [];
  for (const element of document.querySelectorAll("#page *")) {
    const words = [...element.childNodes]
      .filter((node) => node.nodeType === 3)
      .map((node) => node.textContent?.trim() ?? "")
      .join("");
    const disabled = element.closest(":disabled") !== null;
    if (words === "" || disabled || !element.checkVisibility() || element.closest(".visually-hidden"))
      continue;
    const below = ground(element);
    const [low = 0, high = 0] = [
      luminance(below),
      luminance(over(parse(getComputedStyle(element).color), below)),
    ].toSorted((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) poor.push(`${contrast.toFixed(2)} ${words.slice(0, 30)}`);
  }
  return poor;
}
