// The chart has a button of its own that draws it as an image; it takes one format only, so the
// format is set before that button is pressed. No second copy of the drawing library is needed.
export default function ({ data, parentElement }) {
  for (const button of parentElement.querySelectorAll("button")) {
    const format = button.dataset.format
    button.setAttribute("aria-label", "Save the chart as " + format.toUpperCase())
    button.onclick = () => {
      const plot = document.querySelector(".st-key-" + data.chart + " .js-plotly-plot")
      const camera = plot && plot.querySelector('.modebar-btn[data-title^="Download plot"]')
      if (!camera) return
      plot._context.toImageButtonOptions = {
        format, filename: data.name, width: plot.clientWidth, height: plot.clientHeight,
        scale: format === "png" ? 2 : 1,
      }
      camera.dispatchEvent(new MouseEvent("click", { bubbles: true }))
    }
  }
}
