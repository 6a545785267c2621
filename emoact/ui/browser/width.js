// A screen that is wide says nothing, so that its page is drawn once.
export default function ({ setStateValue, data, parentElement }) {
  const narrow = window.innerWidth < 640
  if (narrow !== data.narrow) setStateValue("narrow", narrow)
  // Charts take the colours of another scheme when they are drawn again.
  if (parentElement.scheme) parentElement.scheme.onchange = null
  const scheme = parentElement.scheme = window.matchMedia("(prefers-color-scheme: dark)")
  scheme.onchange = () => setTimeout(() => setStateValue("dark", scheme.matches), 50)
  // Streamlit's list of pages has headings between its entries, which no list may have.
  const group = () => {
    for (const list of document.querySelectorAll("[data-testid=stSidebarNavItems]")) {
      list.setAttribute("role", "none")
      for (const part of list.children) {
        part.setAttribute("role", "group")
        part.setAttribute("aria-label", part.querySelector("header p")?.textContent ?? "Pages")
        part.querySelectorAll("li").forEach(entry => entry.setAttribute("role", "none"))
      }
    }
  }
  const sidebar = document.querySelector("[data-testid=stSidebar]")
  if (sidebar && !sidebar.grouped) {
    sidebar.grouped = new MutationObserver(group)
    sidebar.grouped.observe(sidebar, { childList: true, subtree: true })
  }
  group()
}
