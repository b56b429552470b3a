"""What to do in the domain trade_calculator: a product of the task's own numbers costs no call."""

from __future__ import annotations

from typing import Any, TypeAlias

from .asking import tool

convert_currency = tool("convert_currency")
calculate_tariff = tool("calculate_tariff")
estimate_final_value = tool("estimate_final_value")
calculator = tool("calculator")
find_minimum = tool("find_minimum")
find_maximum = tool("find_maximum")

Offer: TypeAlias = tuple[float, float, float]  # price, conversion rate, tariff rate


def final(price: float, conversion: float, tariff: float) -> Any:
    converted = convert_currency(price, conversion)
    return estimate_final_value(converted, calculate_tariff(converted, tariff))


def estimate(price: float, tariff: float) -> Any:
    return estimate_final_value(price, calculate_tariff(price, tariff))


def final_value(offer: Offer) -> Any:
    return final(*offer)


def final_values(offers: list[Offer]) -> Any:
    return [final(*offer) for offer in offers]


def least_final_value(offers: list[Offer]) -> Any:
    return find_minimum(*[final(*offer) for offer in offers])


def largest_final_value(offers: list[Offer]) -> Any:
    return find_maximum(*[final(*offer) for offer in offers])


def net_profit(sold: Offer, bought: Offer) -> Any:
    return calculator(f"{final(*sold)} - {final(*bought)}")
