"""Japanese words of the views that a report shows, and of their charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class ViewWords(NamedTuple):
    """Sentences for a view in place of its own.

    Attributes:
        caption: May name values of the controls in braces.
    """

    title: str
    question: str
    caption: str


VIEWS: Mapping[str, ViewWords] = {
    "norms": ViewWords(
        title="層ごとのノルム",
        question="活性の大きさは層ごとにどの程度で、感情カテゴリ間で異なりますか。",
        caption="{model}: 層ごとの残差ストリーム（実線）とMLP出力（破線）のL2ノルム。線はプロンプト間の中央値、"
        "帯は第1四分位から第3四分位までを表します。",
    ),
    "strength": ViewWords(
        title="方向の強度",
        question="各感情の方向は、どの層で、どの程度の強さで基準から離れていますか。",
        caption="{model}: 各方向の交差検証した強度と、ジャックナイフ法による95%信頼区間。灰色は、ラベルを"
        "置換した場合の2.5%点から97.5%点までの範囲（帰無分布）。塗りつぶしの点は有意な層を表します。",
    ),
    "cosines": ViewWords(
        title="感情間のcos類似度",
        question="2つの感情の方向は、各層でどの程度似ていますか。",
        caption="{model}: 感情の組ごとのcos類似度（層ごと）。灰色の帯は、ラベルを置換した場合の95%の範囲、"
        "点線は、基準を共有することだけから生じるcos類似度を表します。",
    ),
}

TERMS: Mapping[str, str] = {
    "layer": "層",
    ", log scale": "（対数）",
    "Residual stream": "残差ストリーム",
    "MLP output": "MLP出力",
    "Attention output": "Attention出力",
    "Residual stream, after the layer": "残差ストリーム（層の出力側）",
    "median L2 norm, model units": "L2ノルムの中央値（モデル内の単位）",
    "%{y:,.3~r} (quartiles %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r}, "
    "%{customdata[2]} prompts)": "%{y:,.3~r}（四分位範囲 %{customdata[0]:,.3~r}〜%{customdata[1]:,.3~r}）",
    "strength, model units": "強度（モデル内の単位）",
    "strength / median norm": "強度／ノルムの中央値",
    "cosine": "cos類似度",
    "accuracy": "正解率",
    "direction significant (Holm)": "有意（Holm補正）",
    "not significant": "有意でない",
    "95 % interval": "95%信頼区間",
    "95 % of relabelled data": "ラベル置換（95%）",
    "95 % of relabelled data (plain)": "ラベル置換（通常、95%）",
    "plain cosine of noise": "ノイズのみの場合",
    "cross-validated": "交差検証",
    "plain": "通常",
    "z-scored twin differs by > .2": "標準化した値との差が0.2を超える層",
    "%{y:,.3~r} (95 % %{customdata[0]:,.3~r} to %{customdata[1]:,.3~r}) "
    "null %{customdata[2]:,.3~r} to %{customdata[3]:,.3~r}, Holm p %{customdata[4]:.3~g}": "%{y:,.3~r}"
    "（95%: %{customdata[0]:,.3~r}〜%{customdata[1]:,.3~r}、帰無分布: %{customdata[2]:,.3~r}〜"
    "%{customdata[3]:,.3~r}、Holm p %{customdata[4]:.3~g}）",
}
