// Before anything is painted: the theme that the viewer chose, if it chose one.
"use strict";
try {
  const theme = localStorage.getItem("vidar-theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // without storage the system's theme is shown
}
