"""What to do in the domain travel_itinerary_planning: a look at two prices, or their sum, costs no call."""

from __future__ import annotations

from typing import Any, TypeAlias

from .asking import tool

find_flights = tool("find_flights")
book_hotel = tool("book_hotel")
budget_calculator = tool("budget_calculator")

Leg: TypeAlias = tuple[str, str, str, int, list[str]]  # from, to, on, nights, what the hotel must have


def cheapest(legs: list[Leg]) -> Any:
    flights = [find_flights(start, end, date) for start, end, date, nights, wishes in legs]
    hotels = [book_hotel(end, *wishes) for start, end, date, nights, wishes in legs]
    costs = []
    for leg, there, rooms in zip(legs, flights, hotels, strict=True):
        price = min(flight["price"] for flight in there)
        costs.append(budget_calculator(price, min(room["price_per_night"] for room in rooms), leg[3]))
    return sum(costs)


def best_rated(legs: list[Leg], rated: list[str]) -> Any:
    flights = [find_flights(start, end, date) for start, end, date, nights, wishes in legs]
    hotels = [book_hotel(end, *wishes) for start, end, date, nights, wishes in legs]
    costs = []
    for leg, there, rooms in zip(legs, flights, hotels, strict=True):
        price = min(flight["price"] for flight in there)
        by_price = sorted(rooms, key=lambda room: room["price_per_night"])
        room = max(by_price, key=lambda room: room["rating"]) if leg[1] in rated else by_price[0]
        costs.append(budget_calculator(price, room["price_per_night"], leg[3]))
    return sum(costs)
