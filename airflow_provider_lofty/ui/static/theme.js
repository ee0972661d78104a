// Light or dark, as the Airflow page around this one; and what that page has to do for it.

export function outerPage() {
  try {
    return parent === window ? null : parent.document.documentElement;
  } catch {
    return null;
  }
}

export function followTheme() {
  const outer = outerPage();
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const saved = outer ? null : localStorage.getItem("theme");
    const isDark = outer ? outer.classList.contains("dark") : saved === "dark" || (saved !== "light" && system.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  };
  apply();
  system.addEventListener("change", apply);
  if (outer) new MutationObserver(apply).observe(outer, { attributes: true, attributeFilter: ["class"] });
}

// Airflow shows this page in a frame that may open no window, and in 3.1 start no download; the page around it may.
export function letOuterPageOpenLinks() {
  const outer = outerPage();
  if (!outer) return;
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[download], a[target=_blank]");
    if (!link) return;
    event.preventDefault();
    const { href, target, rel } = link;
    clickIn(outer, link.hasAttribute("download") ? { href, target, rel, download: "" } : { href, target, rel });
  });
}

// Follow a link as if it stood in the page around this one.
export function clickIn(outer, properties) {
  const twin = Object.assign(outer.ownerDocument.createElement("a"), properties);
  outer.ownerDocument.body.append(twin);
  twin.click();
  twin.remove();
}
